//! Each exit code of the program is told wherever exit codes are: in the help, on the page on operating, and in the
//! reference.

use std::collections::BTreeSet;

use correction_runner::config::{Component, command};
use correction_runner::tools::failure::Kind;

use super::document;

/// The exit codes that `main` knows.
fn known() -> BTreeSet<u8> {
    let text = document("src/main.rs");
    let kinds = [Kind::Settings, Kind::Unreachable, Kind::Internal];
    let mut codes = BTreeSet::from([0]);
    for line in text.lines().filter(|line| line.starts_with("const ") && line.contains(": u8 = ")) {
        let (_, code) = line.split_once(" = ").expect("a value");
        let of_kind = kinds.iter().find(|kind| code == format!("Kind::{kind:?}.exit_code();"));
        let number = || code.trim_end_matches(';').parse().expect("a number");
        codes.insert(of_kind.map_or_else(number, |kind| kind.exit_code()));
    }
    assert!(codes.len() >= 9, "{codes:?}");
    codes
}

/// The numbers of a text that stand where a code does: after white space, a comma or a semicolon, and before a word.
fn told(text: &str) -> BTreeSet<u8> {
    let words: Vec<&str> = text.split([' ', '\n', ';', ',']).collect();
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn each_exit_code_of_the_program_is_in_the_help_and_on_the_pages() {
    let operating = document("docs/operating.md");
    let (_, table) = operating.split_once("| exit code | meaning |\n| --- | --- |\n").expect("the table");
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok());
    assert_eq!(rows.collect::<BTreeSet<u8>>(), known(), "docs/operating.md");
    let help = command().render_help().to_string();
    let reference = document("docs/reference/commands.md");
    for (place, text, end) in
        [("the help", &help, "Try it:"), ("docs/reference/commands.md", &reference, "<!-- commands:")]
    {
        let (_, text) = text.split_once("Exit codes: ").expect("the exit codes");
        let (text, _) = text.split_once(end).expect("what follows them");
        assert_eq!(told(text), known(), "{place}");
    }
}

#[test]
fn the_page_on_operating_names_each_component_that_process_chooses() {
    let page = document("docs/operating.md");
    let paragraph = page.split("\n\n").find(|text| text.contains("the environment variable `PROCESS`"));
    let paragraph = paragraph.expect("it is told how a component is chosen");
    for component in Component::EACH {
        assert!(paragraph.contains(&format!("`{}`", component.name())), "{}: {paragraph}", component.name());
    }
}
