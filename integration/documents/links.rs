//! No link of any page leads nowhere: neither to a file nor to a heading that there is not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Folders of what others wrote or what is made anew.
const NOT_OURS: [&str; 5] = ["target", "node_modules", ".git", ".run", "proptest-regressions"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown page of the repository, by its path from the root.
pub fn pages() -> BTreeMap<PathBuf, String> {
    let (mut pages, mut folders) = (BTreeMap::new(), vec![root().to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if !NOT_OURS.iter().any(|other| name == *other) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).expect("a page");
                pages.insert(path.strip_prefix(root()).expect("below the root").to_path_buf(), text);
            }
        }
    }
    pages
}

/// A page without its blocks of code, in which nothing is a heading and nothing a link. Line numbers stay.
fn prose(page: &str) -> String {
    let mut inside = false;
    let lines = page.lines().map(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        if fence || inside { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What the headings of a page are linked as: the way of GitHub, which numbers those that come again.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.trim_start_matches('#').starts_with(' '));
    headings
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let text = line.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let anchor = kept.collect::<String>().replace(' ', "-");
            let times = seen.entry(anchor.clone()).or_default();
            *times += 1;
            if *times == 1 { anchor } else { format!("{anchor}-{}", *times - 1) }
        })
        .collect()
}

/// The links of a page that stay within the repository: line and target. `code` in backticks holds none.
fn links(page: &str) -> Vec<(usize, String)> {
    let prose = prose(page);
    let code = regex::Regex::new("`[^`\n]*`").expect("an expression");
    let link = regex::Regex::new(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)").expect("an expression");
    // What stands in backticks is blotted out in its length, so that the text around it stays where it is.
    let prose = code.replace_all(&prose, |found: &regex::Captures<'_>| "`".repeat(found[0].len()));
    link.captures_iter(&prose)
        .filter_map(|found| {
            let target = found[1].to_owned();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            let at = found.get(1).expect("the target").start();
            (!elsewhere).then(|| (prose[..at].matches('\n').count() + 1, target))
        })
        .collect()
}

/// A path without `.` and `..`; nothing where it leads out of the repository.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => plain.pop().then_some(())?,
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(plain)
}

/// What is wrong with the links of a page, given all pages.
fn complaints(name: &Path, text: &str, pages: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (line, target) in links(text) {
        let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
        let here = name.parent().expect("a folder");
        let path = if file.is_empty() { Some(name.to_path_buf()) } else { plain(&here.join(file)) };
        let Some(path) = path else {
            found.push(format!("{}:{line}: {target} leads out of the repository", name.display()));
            continue;
        };
        if !file.is_empty() && !root().join(&path).exists() {
            found.push(format!("{}:{line}: there is no {}", name.display(), path.display()));
        } else if !heading.is_empty() && !pages.get(&path).is_some_and(|page| anchors(page).contains(heading))
        {
            found.push(format!("{}:{line}: {} has no heading #{heading}", name.display(), path.display()));
        }
    }
    found
}

#[test]
fn no_link_of_any_page_leads_nowhere() {
    let pages = pages();
    let seen: usize = pages.values().map(|text| links(text).len()).sum();
    assert!(pages.len() > 15 && seen > 80, "only {} pages with {seen} links were found", pages.len());
    let found: Vec<_> = pages.iter().flat_map(|(name, text)| complaints(name, text, &pages)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let pages = pages();
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![PathBuf::from("README.md")]);
    while let Some(name) = ahead.pop() {
        if let Some(text) = pages.get(&name)
            && reached.insert(name.clone())
        {
            let here = name.parent().expect("a folder");
            let targets = links(text).into_iter().filter_map(|(_, target)| {
                let file = target.split('#').next().unwrap_or_default();
                plain(&here.join(file))
            });
            // A folder is shown with its own page.
            ahead.extend(targets.flat_map(|path| [path.join("README.md"), path]));
        }
    }
    let lost: Vec<_> = pages.keys().filter(|name| !reached.contains(*name)).collect();
    assert!(lost.is_empty(), "no way leads from the README to {lost:?}");
}

#[test]
fn links_that_lead_nowhere_are_found_and_what_is_no_link_is_not() {
    let pages =
        BTreeMap::from([(PathBuf::from("README.md"), "# Same\n\n# Same\n\n## `A` & b_c!\n".to_owned())]);
    let told = |text: &str| complaints(Path::new("docs/page.md"), text, &pages).join("\n");
    for (text, complaint) in [
        ("a\n[b\nc](gone.md)", "docs/page.md:3: there is no docs/gone.md"),
        ("[b](../README.md#other)", "README.md has no heading #other"),
        ("[b](#other)", "docs/page.md has no heading #other"),
        ("[b](../../README.md)", "leads out of the repository"),
        ("[b](../README.md#same-2)", "no heading #same-2"),
        ("[`b`](gone.md 'title')", "there is no docs/gone.md"),
    ] {
        assert!(told(text).contains(complaint), "{text}: {}", told(text));
    }
    for text in [
        "[b](../README.md)",
        "[b](../README.md#same) [b](../README.md#same-1) [b](../README.md#a--b_c)",
        "`[b](gone.md)` and [c](https://example.org/gone.md)",
        "```sh\n[b](gone.md)\n```",
    ] {
        assert_eq!(told(text), "", "{text}");
    }
}
