//! The README and the example settings say what the program does: each setting with its default, each
//! outcome, and no link that leads nowhere.

use std::collections::BTreeSet;
use std::path::Path;

use correction_runner::config::{self, Configuration, Request, settings};
use correction_runner::outcome::Outcome;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of each table row of the README whose first cell begins with a name in backticks.
fn rows(readme: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    readme.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        let name = cells.first()?.strip_prefix('`')?.split('`').next()?;
        Some((name, cells))
    })
}

#[test]
fn the_readme_lists_every_setting_with_its_default_and_no_other() {
    let readme = document("README.md");
    let is_setting = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let listed: Vec<_> = rows(&readme).filter(|(name, _)| is_setting(name)).collect();
    for setting in settings() {
        let row = listed.iter().find(|(name, _)| *name == setting.name);
        let Some((_, cells)) = row else { panic!("the README does not list {}", setting.name) };
        let default = cells.get(2).copied().unwrap_or_default();
        if !setting.default.is_empty() {
            let expected = format!("`{}`", setting.default);
            assert!(default.starts_with(&expected), "{}: {default}, not {expected}", setting.name);
        }
        if let Some(original) = setting.original {
            assert!(default.contains(&format!("(original: `{original}`)")), "{}: {default}", setting.name);
        }
    }
    let known: BTreeSet<&str> = settings().map(|setting| setting.name).collect();
    let unknown: Vec<_> = listed.iter().map(|(name, _)| *name).filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "the README lists settings that there are not: {unknown:?}");
}

#[test]
fn the_readme_explains_every_outcome() {
    let readme = document("README.md");
    for outcome in Outcome::ALL {
        assert!(rows(&readme).any(|(name, cells)| name == outcome.as_str() && cells.len() == 3), "{outcome}");
    }
}

#[test]
fn no_link_of_the_readme_leads_nowhere() {
    let readme = document("README.md");
    let headings: BTreeSet<String> = readme
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let text = line.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            format!("#{}", kept.collect::<String>().replace(' ', "-"))
        })
        .collect();
    // A link's text may be broken over two lines; its target never is.
    let targets = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let mut seen = 0;
    for target in targets.filter(|target| !target.starts_with("http")) {
        seen += 1;
        if target.starts_with('#') {
            assert!(headings.contains(target), "no heading is {target}");
        } else {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(), "there is no {target}");
        }
    }
    assert!(seen > 20, "only {seen} links were found");
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
            Ok(Request::Run(configuration)) => Configuration { warnings: Vec::new(), ..*configuration },
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(&spelled), read(""));
}
