//! Where values come from, first wins: flag, environment, `.env`, default.
//!
//! The `.env` file is kept apart from the process's environment, so that an error can tell them apart and
//! nothing has to be written into the environment. As with Node's `dotenv`, a variable that is in the
//! environment counts even when it is empty, which means: not set.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::dotenv::{self, Entry};
use super::formats::Allowed;
use super::likeness;
use super::problem::{Origin, Problem, Shown};
use super::table::{Component, Setting, setting};

/// A value and where it was found.
#[derive(Clone)]
pub(super) struct Found {
    pub text: String,
    pub origin: Origin,
}

/// The environment and the `.env` file.
pub(super) struct Surroundings {
    environment: HashMap<String, OsString>,
    dotenv: HashMap<String, Entry>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Surroundings {
    /// Takes the environment and reads `.env` in a directory, if there is one.
    pub(super) fn new(environment: impl IntoIterator<Item = (OsString, OsString)>, directory: &Path) -> Self {
        let mut problems = Vec::new();
        let dotenv = match std::fs::read(directory.join(".env")) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| String::from("it is not valid UTF-8")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(format!("cannot be read: {error}")),
        };
        let dotenv = dotenv.unwrap_or_else(|problem| {
            problems.push(Problem::Dotenv(problem));
            String::new()
        });
        let (dotenv, skipped) = dotenv::read(&dotenv);
        let warnings = likeness::of_file(&dotenv, &skipped);
        let environment = environment
            .into_iter()
            .filter_map(|(name, value)| name.into_string().ok().map(|name| (name, value)))
            .collect();
        Self { environment, dotenv, problems, warnings }
    }

    /// The value of one variable, which may be empty. One that is not UTF-8 comes as `Err`.
    fn variable(&self, name: &str) -> Option<Result<Found, Origin>> {
        if let Some(value) = self.environment.get(name) {
            let origin = Origin::Environment(name.to_owned());
            return Some(match value.to_str() {
                Some(text) => Ok(Found { text: text.to_owned(), origin }),
                None => Err(origin),
            });
        }
        let entry = self.dotenv.get(name)?;
        let origin = Origin::Dotenv { name: name.to_owned(), line: entry.line };
        Some(Ok(Found { text: entry.value.clone(), origin }))
    }

    /// The value of one variable, unless it is empty.
    pub(super) fn plain(&self, name: &str) -> Option<Found> {
        self.variable(name)?.ok().filter(|found| !found.text.trim().is_empty())
    }
}

/// Everything that one component's settings are read from. Reading collects what is wrong, so that all of
/// it is told at once.
pub(super) struct Inputs {
    component: Component,
    flags: HashMap<&'static str, String>,
    surroundings: Surroundings,
    original: bool,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Inputs {
    /// Puts the flags (by the setting's name) before what surrounds the process.
    pub(super) fn new(
        component: Component,
        flags: HashMap<&'static str, String>,
        mut surroundings: Surroundings,
    ) -> Self {
        let problems = std::mem::take(&mut surroundings.problems);
        let warnings = std::mem::take(&mut surroundings.warnings);
        let mut inputs = Self { component, flags, surroundings, original: false, problems, warnings };
        inputs.original = inputs.read("CONTAINER_PROFILE", |text| match text.to_lowercase().as_str() {
            "hardened" => Ok(false),
            "original" => Ok(true),
            _ => Err("hardened or original".into()),
        });
        inputs
    }

    /// Whose settings they are.
    pub(super) fn component(&self) -> Component {
        self.component
    }

    /// Whether containers run as the original ran them.
    pub(super) fn is_original(&self) -> bool {
        self.original
    }

    /// Whether the component that is configured has a setting.
    pub(super) fn uses(&self, name: &str) -> bool {
        setting(name).is_some_and(|setting| setting.is_of(self.component))
    }

    /// Reads settings with the defaults of one profile or the other.
    pub(super) fn under<T>(&mut self, original: bool, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.original, original);
        let value = read(self);
        self.original = before;
        value
    }

    /// Whether somebody set it.
    pub(super) fn is_set(&mut self, name: &'static str) -> bool {
        self.find(name).is_some_and(|found| found.origin != Origin::Default)
    }

    /// The value of a setting: as set, or else its default, or else nothing.
    pub(super) fn find(&mut self, name: &'static str) -> Option<Found> {
        let setting = setting(name)?;
        let explicit = if setting.is_of(self.component) { self.explicit(setting) } else { None };
        explicit
            .or_else(|| {
                let original = setting.original.filter(|_| self.original);
                let text = original.unwrap_or(setting.default).to_owned();
                Some(Found { text, origin: Origin::Default })
            })
            .filter(|found| !found.text.is_empty())
    }

    fn explicit(&mut self, setting: &'static Setting) -> Option<Found> {
        if let Some(text) = self.flags.get(setting.name) {
            let origin = Origin::Flag(format!("--{}", setting.flag()));
            return tidy(setting, Found { text: text.clone(), origin });
        }
        for name in [setting.name].iter().chain(setting.aliases) {
            match self.surroundings.variable(name) {
                None => {}
                Some(Ok(found)) => {
                    if let Some(found) = tidy(setting, found) {
                        return Some(found);
                    }
                }
                Some(Err(origin)) => {
                    let what = String::from("it is not valid UTF-8");
                    self.report(Problem::Unusable { setting: setting.name, origin, what });
                }
            }
        }
        None
    }

    /// Reads a setting. What is not set, or is wrong and reported, comes as the type's own default, which
    /// is never used in the latter case.
    pub(super) fn read<T: Default>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, Allowed>,
    ) -> T {
        let Some(found) = self.find(name) else { return T::default() };
        read(&found.text).unwrap_or_else(|allowed| {
            let secret = setting(name).is_none_or(|setting| setting.secret);
            let value = if secret { Shown::secret() } else { Shown::new(&found.text) };
            self.report(Problem::Value { setting: name, value, origin: found.origin, allowed });
            T::default()
        })
    }

    /// Reads a setting that has no default.
    pub(super) fn read_optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, Allowed>,
    ) -> Option<T> {
        self.read(name, |text| read(text).map(Some))
    }

    /// Remembers something that is wrong, once.
    pub(super) fn report(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Remembers something that is allowed and looks like a mistake.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The first of several variables that is set, none of them ours, which a setting has us read. One that is not UTF-8 is
    /// reported as that setting's problem.
    pub(super) fn first_of(&mut self, names: &[&str], setting: &'static str) -> Option<Found> {
        for name in names {
            match self.surroundings.variable(name) {
                Some(Ok(found)) if !found.text.trim().is_empty() => return Some(found),
                Some(Err(origin)) => {
                    let what = String::from("it is not valid UTF-8");
                    self.report(Problem::Unusable { setting, origin, what });
                    return None;
                }
                _ => {}
            }
        }
        None
    }

    /// The value of a variable that is no setting of ours.
    pub(super) fn plain(&self, name: &str) -> Option<Found> {
        self.surroundings.plain(name)
    }

    /// Takes out the warnings and what is wrong, so that nothing is left to refuse.
    pub(super) fn take(&mut self) -> (Vec<String>, Vec<Problem>) {
        (std::mem::take(&mut self.warnings), std::mem::take(&mut self.problems))
    }

    /// The warnings, or what is wrong.
    pub(super) fn finish(self) -> Result<Vec<String>, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.warnings) } else { Err(self.problems) }
    }
}

/// The value without white space around it (which may be part of a secret); nothing if nothing is left.
fn tidy(setting: &Setting, mut found: Found) -> Option<Found> {
    if !setting.secret {
        found.text = String::from(found.text.trim());
    }
    (!found.text.trim().is_empty()).then_some(found)
}
