//! What is wrong with a policy file, and where: the line, the column, and what is allowed there.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

/// A policy file that cannot be used: all that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Told { file, faults })]
pub struct FaultyPolicy {
    /// The file.
    pub file: PathBuf,
    /// What is wrong, in the order of the file.
    pub faults: Vec<Fault>,
}

impl FaultyPolicy {
    /// Each fault with the file's name.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.faults.iter().map(|fault| format!("{}, {fault}", self.file.display()))
    }
}

struct Told<'a> {
    file: &'a Path,
    faults: &'a [Fault],
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            let between = if number == 0 { "" } else { "; " };
            write!(formatter, "{between}{}, {fault}", self.file.display())?;
        }
        Ok(())
    }
}

/// Collects faults of one text.
pub struct Faults<'text> {
    text: &'text str,
    found: Vec<Fault>,
}

impl<'text> Faults<'text> {
    pub fn of(text: &'text str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Whether nothing was reported so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The line of a place.
    pub fn line(&self, at: usize) -> usize {
        1 + self.before(at).matches('\n').count()
    }

    /// Reports what is wrong at a place.
    pub fn add(&mut self, at: Range<usize>, what: impl Into<String>) {
        let before = self.before(at.start);
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        self.found.push(Fault { line: self.line(at.start), column, what: what.into() });
    }

    /// Reports a value that is not allowed.
    pub fn value(&mut self, key: &str, value: &Spanned<DeValue<'_>>, allowed: &str) {
        let shown = shown(value.get_ref());
        self.add(value.span(), format!("{key} is {shown}; allowed: {allowed}"));
    }

    /// What was found, in the order of the text; nothing if nothing is wrong.
    pub fn found(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|fault| (fault.line, fault.column));
        self.found
    }

    fn before(&self, at: usize) -> &'text str {
        let mut end = at.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.text[..end]
    }
}

/// A value fit to be shown in one line.
fn shown(value: &DeValue<'_>) -> String {
    const LONGEST: usize = 60;
    let whole = match value {
        DeValue::String(text) => format!("{:?}", text.chars().take(LONGEST + 1).collect::<String>()),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    if whole.chars().count() <= LONGEST {
        whole
    } else {
        whole.chars().take(LONGEST).chain("…".chars()).collect()
    }
}
