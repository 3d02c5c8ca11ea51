//! What the pages show to be typed can be typed: commands and their flags exist, scripts and targets too, shell is
//! shell, JSON is JSON, TOML is TOML.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::error::ErrorKind;
use correction_runner::config;

use super::links::pages;

/// A piece of code on a page.
#[derive(Clone, Debug, PartialEq)]
struct Code {
    page: PathBuf,
    line: usize,
    /// The language of a block; nothing where it stands in backticks within a sentence.
    language: Option<String>,
    text: String,
}

impl Code {
    fn place(&self) -> String {
        format!("{}:{}", self.page.display(), self.line)
    }
}

/// All code of the pages.
fn code_of(pages: &BTreeMap<PathBuf, String>) -> Vec<Code> {
    let mut all = Vec::new();
    for (page, text) in pages {
        let mut block: Option<Code> = None;
        for (line, content) in (1..).zip(text.lines()) {
            let fence = content.trim_start().strip_prefix("```");
            match (&mut block, fence) {
                (None, Some(language)) => {
                    let language = Some(language.trim().to_owned());
                    block = Some(Code { page: page.clone(), line: line + 1, language, text: String::new() });
                }
                (Some(open), None) => open.text.extend([content, "\n"]),
                (Some(_), Some(_)) => all.extend(block.take()),
                (None, None) => {
                    let inside = content.split('`').skip(1).step_by(2);
                    all.extend(inside.map(|text| Code {
                        page: page.clone(),
                        line,
                        language: None,
                        text: text.into(),
                    }));
                }
            }
        }
    }
    all
}

/// The words of each simple command in a line of shell that begins with this program, variables left as they are.
fn calls(line: &str, program: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), None::<String>, None);
    let mut before = ' ';
    for letter in line.chars().chain(['\n']) {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            (None, '#') if before.is_whitespace() => break,
            (None, ' ' | '\t' | '|' | '&' | ';' | '<' | '>' | '(' | ')' | '\n') => {
                words.extend(word.take());
                if !matches!(letter, ' ' | '\t') {
                    commands.push(std::mem::take(&mut words));
                }
            }
            (_, _) => word.get_or_insert_default().push(letter),
        }
        before = letter;
    }
    words.extend(word);
    commands.push(words);
    let begins = |words: &Vec<String>| {
        // Settings may stand before it, and `sudo`.
        words.iter().position(|word| !word.contains('=') && word != "sudo")
    };
    let ours = commands.into_iter().filter_map(|words| {
        let at = begins(&words)?;
        (words[at] == program).then(|| words[at..].to_vec())
    });
    ours.collect()
}

/// Lines of shell, those joined that end with a backslash.
fn shell_lines(text: &str) -> Vec<String> {
    text.replace("\\\n", " ").lines().map(str::to_owned).collect()
}

/// All commands on the pages that call a program, with their places.
fn calls_on_pages(program: &str) -> Vec<(String, Vec<String>)> {
    let is_shell =
        |code: &Code| code.language.as_deref().is_none_or(|language| matches!(language, "sh" | ""));
    code_of(&pages())
        .iter()
        .filter(|code| is_shell(code))
        .flat_map(|code| {
            let calls = shell_lines(&code.text).into_iter().flat_map(|line| calls(&line, program));
            calls.map(|words| (code.place(), words)).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_command_on_a_page_is_one_with_these_flags() {
    let calls = calls_on_pages("correction-runner");
    assert!(calls.len() > 25, "only {} calls were found", calls.len());
    let known = config::command();
    let mut wrong = Vec::new();
    for (place, words) in calls {
        // A sentence may name the program alone, or stand for all commands.
        if words.get(1).is_none_or(|first| first.chars().all(|letter| !letter.is_ascii_lowercase())) {
            continue;
        }
        let Err(error) = known.clone().try_get_matches_from(&words) else { continue };
        // What stands for something else need not be of its form, and a sentence need not have all of it.
        if matches!(
            error.kind(),
            ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand | ErrorKind::ArgumentConflict
        ) {
            wrong.push(format!("{place}: {words:?}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_target_and_every_script_on_a_page_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let makefile = std::fs::read_to_string(root.join("Makefile")).expect("the Makefile");
    let calls = calls_on_pages("make");
    assert!(calls.len() > 5, "only {} calls were found", calls.len());
    for (place, words) in calls {
        for target in words[1..].iter().filter(|word| !word.contains('=') && !word.ends_with(':')) {
            assert!(makefile.contains(&format!("\n{target}:")), "{place}: there is no target {target}");
        }
    }
    let scripts = regex::Regex::new(r"(?:^|[\s(])(scripts/[a-z_/]+)").expect("an expression");
    for code in code_of(&pages()) {
        for script in scripts.captures_iter(&code.text).map(|found| found[1].to_owned()) {
            assert!(root.join(&script).exists(), "{}: there is no {script}", code.place());
        }
    }
}

#[test]
fn every_block_is_of_the_language_that_it_says() {
    let (mut shell, mut others) = (0, 0);
    for code in code_of(&pages()) {
        let place = code.place();
        match code.language.as_deref() {
            Some("sh") => {
                shell += 1;
                let mut bash = Command::new("bash");
                bash.args(["-n"]).stdin(Stdio::piped()).stderr(Stdio::piped());
                let mut bash = bash.spawn().expect("bash runs");
                bash.stdin.take().expect("a pipe").write_all(code.text.as_bytes()).expect("written");
                let output = bash.wait_with_output().expect("it ends");
                assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
            }
            Some("json") => {
                others += 1;
                let parsed = serde_json::from_str::<serde_json::Value>(&code.text);
                assert!(parsed.is_ok(), "{place}: {parsed:?}");
            }
            Some("toml") => {
                others += 1;
                let parsed = toml::de::DeTable::parse(&code.text);
                assert!(parsed.is_ok(), "{place}: {parsed:?}");
            }
            _ => {}
        }
    }
    assert!(shell > 10 && others > 4, "{shell} blocks of shell and {others} others were found");
}

#[test]
fn commands_are_found_as_a_shell_would_find_them() {
    let found = |line: &str| calls(line, "p");
    assert_eq!(found("A=1 p x --y 'a b' # p z"), [["p", "x", "--y", "a b"]]);
    assert_eq!(
        found("p a | p b; (sudo p \"c d\") && q p >e"),
        [vec!["p", "a"], vec!["p", "b"], vec!["p", "c d"]]
    );
    assert_eq!(found("q p").len() + found("# p").len() + found("").len(), 0);
}
