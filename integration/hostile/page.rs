//! SECURITY.md: each line of what is defended names tests, and each of these exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("SECURITY.md")).expect("the page")
}

/// The file that holds a test's module: `a::b` is `a/b.rs` or `a/b/mod.rs`, of the tests or of the source. What
/// stands in `mod tests` of a file is named without that, or by the file `tests.rs` beside it.
fn files(module: &str) -> Vec<PathBuf> {
    let path = module.replace("::", "/");
    let names = [format!("{path}.rs"), format!("{path}/mod.rs"), format!("{path}/tests.rs")];
    let all = ["integration", "src"]
        .into_iter()
        .flat_map(|folder| names.iter().map(move |name| root().join(folder).join(name)));
    all.filter(|file| file.exists()).collect()
}

/// Whether it is a test: its attribute stands close above it, or above the block of property tests that it is in.
fn is_test(text: &str, name: &str) -> bool {
    let Some(at) = text.find(&format!("fn {name}(")) else { return false };
    let before: Vec<&str> = text[..at].lines().rev().take(8).collect();
    before.iter().any(|line| {
        line.trim_start().starts_with("#[test]") || line.trim_start().starts_with("#[tokio::test")
    })
}

#[test]
fn each_line_of_what_is_defended_names_a_test_and_each_of_these_exists() {
    let page = page();
    let (_, defended) = page.split_once("\n## What is defended").expect("a section");
    let (defended, _) = defended.split_once("\n## What is not defended").expect("another one");
    let (mut lines, mut tests) = (0, BTreeSet::new());
    for line in defended.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        assert_eq!(cells.len(), 3, "{line}");
        if cells[2] == "tests" {
            continue;
        }
        lines += 1;
        let named: Vec<&str> = cells[2].split(", ").map(|name| name.trim_matches(['`', ' '])).collect();
        for name in named {
            let (module, test) =
                name.rsplit_once("::").unwrap_or_else(|| panic!("{name:?} is no test: {line}"));
            let found =
                files(module).iter().any(|file| is_test(&std::fs::read_to_string(file).expect("text"), test));
            assert!(found, "there is no test {name}");
            tests.insert(name);
        }
    }
    assert!(lines > 25 && tests.len() > 30, "{lines} lines with {} tests were found", tests.len());
}

#[test]
fn every_hostile_test_stands_on_the_page() {
    let page = page();
    let declaration =
        regex::Regex::new(r"(?m)^(?:async )?fn ([a-z0-9]+(?:_[a-z0-9]+){5,})\(\)").expect("an expression");
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("integration/hostile")).expect("the folder").flatten() {
        let path = entry.path();
        let module = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_none_or(|extension| extension != "rs") || module == "page" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        for found in declaration.captures_iter(&text).map(|found| found[1].to_owned()) {
            // That a page shows what is there defends nothing, nor does what is not there.
            let aside = [
                "the_page_shows_the_example_grader_as_it_is",
                "without_the_secret_channel_nothing_of_it_is_there",
            ];
            seen += 1;
            let name = format!("`hostile::{module}::{found}`");
            assert!(aside.contains(&found.as_str()) || page.contains(&name), "the page does not name {name}");
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn no_code_of_ours_is_unsafe() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("text");
    assert!(manifest.contains("\nunsafe_code = \"forbid\"\n"));
    for file in ["src/lib.rs", "src/main.rs"] {
        let text = std::fs::read_to_string(root().join(file)).expect("text");
        assert!(!text.contains("allow(unsafe_code)"), "{file}");
    }
}
