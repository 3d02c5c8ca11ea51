//! The pages that repeat what the code says: the settings, the commands, the outcomes, the metrics. What is made of the code stands
//! between two marks; the rest of a page is written by hand.

#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "pages are short, and made by hand now and then; their names are ours"
)]

mod commands;
mod metrics;
mod outcomes;
mod settings;

use std::path::Path;

/// A page as it is, and as the code wants it.
pub struct Page {
    /// Its path from the root of the repository.
    pub path: &'static str,
    pub now: String,
    pub wanted: String,
}

/// A block of a page: its name, and what makes its text.
type Block = (&'static str, fn() -> String);

/// The pages with the blocks that they hold.
const PAGES: &[(&str, &[Block])] = &[
    ("docs/reference/settings.md", &[("settings", settings::tables)]),
    ("docs/reference/outcomes.md", &[("outcomes", outcomes::table)]),
    ("docs/reference/metrics.md", &[("metrics", metrics::table)]),
    (
        "docs/reference/commands.md",
        &[("components", commands::components), ("commands", commands::for_a_person)],
    ),
];

/// Every page that repeats the code.
///
/// # Errors
/// A page cannot be read, or has lost its marks.
pub fn all(root: &Path) -> Result<Vec<Page>, String> {
    let read =
        |path: &str| std::fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"));
    let mut pages = Vec::new();
    for (path, blocks) in PAGES {
        let now = read(path)?;
        let mut wanted = now.clone();
        for (name, text) in *blocks {
            wanted = with_block(&wanted, name, &text()).map_err(|error| format!("{path}: {error}"))?;
        }
        pages.push(Page { path, now, wanted });
    }
    let path = ".env.example";
    pages.push(Page { path, now: read(path)?, wanted: settings::example() });
    Ok(pages)
}

/// A page with another text between the two marks of that name.
pub fn with_block(page: &str, name: &str, text: &str) -> Result<String, String> {
    let first = format!("<!-- {name}: made from the code by `make docs`, not by hand -->\n");
    let last = format!("<!-- end of {name} -->");
    let split = page.split_once(&first).and_then(|(before, rest)| Some((before, rest.split_once(&last)?.1)));
    let (before, after) = split.ok_or_else(|| format!("the lines {first:?} and {last:?} are not there"))?;
    Ok(format!("{before}{first}\n{}\n\n{last}{after}", text.trim()))
}

/// A text of the code as Markdown in a page of docs/reference: names of settings in backticks, pages as links, and
/// nothing in it that Markdown would take for its own.
pub fn marked_up(text: &str) -> String {
    let known = |word: &str| correction_runner::config::settings().any(|setting| setting.name == word);
    let mut out = String::new();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-');
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        // What is marked up in the code already stays as it is.
        if let Some((code, after)) = rest.strip_prefix('`').and_then(|inside| inside.split_once('`')) {
            out.push_str(&format!("`{code}`"));
            rest = after;
            continue;
        }
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if end == 0 {
            match first {
                '<' if rest.starts_with("<http") => out.push(first),
                '*' | '<' | '|' => out.extend(['\\', first]),
                '\n' => out.push(' '),
                _ => out.push(first),
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = rest[..end].trim_end_matches(['.', '/', '-']);
        rest = &rest[word.len().max(1)..];
        if word.is_empty() {
            out.push(first);
        } else if known(word) {
            out.push_str(&format!("`{word}`"));
        } else if let Some(page) = word.strip_prefix("docs/").filter(|page| page.ends_with(".md")) {
            out.push_str(&format!("[{word}](../{page})"));
        } else {
            out.push_str(&word.replace('_', "\\_"));
        }
    }
    out
}
