//! The pages and the example settings say what the program does, and no link leads nowhere. The page on
//! reliability lists every row of the campaign.

mod examples;
mod exit_codes;
mod links;
mod map;
mod reference;

use std::collections::BTreeSet;
use std::path::Path;

use correction_runner::config::{self, Configuration, Request, settings};
use correction_runner::policy::{Bases, KEYS, Policy};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of each table row of a page whose first cell begins with a name in backticks.
fn rows(page: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        let name = cells.first()?.strip_prefix('`')?.split('`').next()?;
        Some((name, cells))
    })
}

#[test]
fn the_page_on_policies_explains_every_key_and_no_other() {
    let page = document("docs/policy.md");
    let (_, keys) = page.split_once("## Keys").expect("the table of keys");
    let listed: Vec<&str> = rows(keys).map(|(name, _)| name).collect();
    let known: Vec<&str> = ["name", "images", "allow"].into_iter().chain(KEYS).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_example_of_a_policy_is_one_and_shows_every_key() {
    let example = document("docs/policy.example.toml");
    for key in KEYS {
        assert!(example.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy.example.toml");
    let line = ["correction-runner", "starter"].map(Into::into);
    let environment = [("POLICY_FILE".into(), file.into_os_string())];
    let policy = match config::read(line, environment, Path::new("/nonexistent")) {
        Ok(Request::Run(configuration)) => {
            assert_eq!(configuration.warnings, Vec::<String>::new());
            configuration.starter.expect("a starter").policy
        }
        other => panic!("{other:?}"),
    };
    let rule_of = |image: &str| policy.profile_of(image).map(|profile| profile.rule.to_string()).ok();
    for (image, rule) in [
        ("registry.example.org/algebra/quiz:6", Some("algebra")),
        ("registry.example.org/algebra/quiz:7", None),
        ("gcc:14.2", Some("compilers")),
        ("gcc", None),
        ("registry.example.org/exam:2026", None),
        ("school/old-grader", Some("old")),
        ("busybox", None),
    ] {
        assert_eq!(rule_of(image).as_deref(), rule, "{image}");
    }
}

/// The rows of the fault campaign in its source: module, test, whether only `make faults` runs it.
fn campaign_rows() -> BTreeSet<(String, String, bool)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/faults");
    let attribute = regex::Regex::new(r"#\[tokio::test[^\]]*\]((?:\s*#\[[^\n]*\])*)\s*async fn (\w+)\(\)");
    let attribute = attribute.expect("an expression");
    let mut rows = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).expect("inside").with_extension("");
            let module = inside.display().to_string().replace("/mod", "").replace('/', "::");
            let text = std::fs::read_to_string(&path).expect("a source file");
            for found in attribute.captures_iter(&text) {
                rows.insert((module.clone(), found[2].to_owned(), found[1].contains("ignore")));
            }
        }
    }
    rows
}

#[test]
fn the_page_on_reliability_lists_every_row_of_the_campaign_and_no_other() {
    let page = document("RELIABILITY.md");
    let (_, list) = page.split_once("## Every row").expect("the list of rows");
    let mut module = "";
    let mut listed = BTreeSet::new();
    for line in list.lines() {
        if let Some(name) = line.strip_prefix("`faults::") {
            module = name.trim_end_matches('`');
        } else if let Some(row) = line.strip_prefix("- `") {
            let (name, rest) = row.split_once('`').expect("a name in backticks");
            listed.insert((module.to_owned(), name.to_owned(), rest.contains("long")));
        }
    }
    let rows = campaign_rows();
    assert!(rows.len() > 100, "only {} rows were found", rows.len());
    let missing: Vec<_> = rows.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&rows).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:#?}, unknown: {unknown:#?}");
}

#[test]
fn the_figures_of_the_readme_are_those_of_the_pages_that_it_names() {
    let readme = document("README.md");
    let (_, promise) = readme.split_once("## What is promised").expect("the promise");
    let (promise, _) = promise.split_once("\n## ").expect("another section");
    let number = regex::Regex::new(r"\d+(?:[.,]\d+)*").expect("an expression");
    let mut seen = 0;
    for row in promise.lines().filter(|line| line.starts_with("| ") && line.contains("](")) {
        let (words, link) = row.split_once("](").expect("a link");
        let page = document(link.split(['#', ')']).next().expect("a page")).replace(',', "");
        for figure in number.find_iter(words).map(|found| found.as_str().replace(',', "")) {
            seen += 1;
            let whole = format!(r"(?:^|[^\d.]){}(?:\.\d+)?(?:[^\d.]|\.\D|$)", regex::escape(&figure));
            let whole = regex::Regex::new(&whole).expect("an expression");
            assert!(whole.is_match(&page), "{figure} is not on the page of: {row}");
        }
    }
    assert!(seen > 5, "only {seen} figures were found");
}

#[test]
fn the_example_settings_are_all_settings_with_their_defaults() {
    let example = document(".env.example");
    for setting in settings() {
        let line = format!("# {}={}", setting.name, setting.default);
        assert_eq!(example.lines().filter(|other| *other == line).count(), 1, "{line}");
    }
    // With every default spelled out the program reads the same as with nothing set.
    let spelled = example
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| settings().any(|setting| line.starts_with(&format!("{}=", setting.name))))
        .fold(String::new(), |all, line| all + line + "\n");
    let read = |text: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join(".env"), text).expect("written");
        let line = ["correction-runner", "all"].map(Into::into);
        match config::read(line, std::iter::empty(), directory.path()) {
            // To set a limit's time and not the limit is worth a warning, and the rest is the same.
            Ok(Request::Run(mut configuration)) => {
                // Under the original's profile, which is not chosen here, what is set explicitly wins as well.
                let starter = configuration.starter.as_mut().expect("a starter");
                let base = starter.policy.base().clone();
                let bases = Bases { hardened: base.clone(), original: base, is_original: false };
                starter.policy = Policy::of_settings(bases);
                Configuration { warnings: Vec::new(), ..*configuration }
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(&spelled), read(""));
}
