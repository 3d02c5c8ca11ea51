//! Which images may run, and what the container of each gets.
//!
//! Without a policy file each image may run and gets what the settings say. With one the first rule whose
//! pattern is about the image decides, in the order of the file; an image that no rule is about may not run.

mod change;
mod fault;
mod on_engine;
mod pattern;
mod read;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

pub use change::KEYS;
pub use fault::{Fault, FaultyPolicy};
pub use pattern::Pattern;

use crate::image::{Image, only_as_read};
use crate::profile::{Profile, RuleName};

/// What decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    bases: Bases,
    list: Option<List>,
}

/// What the settings say that containers get, under either profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Bases {
    /// Under the hardened profile.
    pub hardened: Profile,
    /// As the original had it.
    pub original: Profile,
    /// Which of them counts where a policy file names none.
    pub is_original: bool,
}

/// The rules of a policy file.
#[derive(Clone, Debug, PartialEq)]
struct List {
    file: PathBuf,
    rules: Vec<Rule>,
}

/// A rule of a policy file.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// The line in the file at which it begins.
    pub line: usize,
    /// What images it is about.
    pub patterns: Vec<Pattern>,
    /// What their containers get; `None` = they may not run.
    pub profile: Option<Profile>,
}

/// An image may not run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image {image} may not run here: {why}")]
pub struct NotAllowed {
    /// The image, as the job names it.
    pub image: String,
    /// Which file decided so, and by which rule.
    pub why: String,
}

/// What was decided about an image, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<'policy> {
    /// The image's name in its one form, or that it is an id; `None` where no image can be called so.
    pub image: Option<Image>,
    /// The rule that decided, and which of its patterns.
    pub rule: Option<(&'policy Rule, &'policy Pattern)>,
    /// What its container gets, or why it may not run.
    pub profile: Result<&'policy Profile, NotAllowed>,
}

impl Bases {
    /// The one that counts, where it is asked for `hardened`, or nothing.
    #[must_use]
    pub fn of(&self, hardened: Option<bool>) -> &Profile {
        if hardened.unwrap_or(!self.is_original) { &self.hardened } else { &self.original }
    }
}

impl Policy {
    /// That of the settings alone.
    #[must_use]
    pub fn of_settings(bases: Bases) -> Self {
        Self { bases, list: None }
    }

    /// That of a policy file.
    ///
    /// # Errors
    /// Something is wrong with the file: all that is.
    pub fn of_file(text: &str, file: &Path, bases: Bases) -> Result<Self, FaultyPolicy> {
        let list = read::list(text, file, &bases)?;
        Ok(Self { bases, list: Some(list) })
    }

    /// The same settings with the policy file's text as it is now.
    ///
    /// # Errors
    /// Something is wrong with the file: all that is.
    pub fn reread(&self, text: &str, file: &Path) -> Result<Self, FaultyPolicy> {
        Self::of_file(text, file, self.bases.clone())
    }

    /// The policy file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.list.as_ref().map(|list| list.file.as_path())
    }

    /// The rules of the policy file, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        self.list.as_ref().map_or(&[], |list| &list.rules)
    }

    /// What containers get where no policy file says anything.
    #[must_use]
    pub fn base(&self) -> &Profile {
        self.bases.of(None)
    }

    /// Everything that some container may get.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        let base = self.list.is_none().then(|| self.base());
        base.into_iter().chain(self.rules().iter().filter_map(|rule| rule.profile.as_ref()))
    }

    /// What the container of an image gets.
    ///
    /// # Errors
    /// The image may not run here.
    pub fn profile_of(&self, image: &str) -> Result<Profile, NotAllowed> {
        self.decide(image).profile.cloned()
    }

    /// What is decided about an image, and why.
    #[must_use]
    pub fn decide(&self, image: &str) -> Decision<'_> {
        let read = Image::read(image);
        let refused = |why: String| Err(NotAllowed { image: image.to_owned(), why });
        let Some(list) = &self.list else {
            return Decision { image: read.ok(), rule: None, profile: Ok(self.base()) };
        };
        let file = list.file.display();
        let known = match &read {
            Ok(known) => known,
            Err(error) => {
                let profile = refused(format!("no image can be called so ({error})"));
                return Decision { image: None, rule: None, profile };
            }
        };
        let first = list.rules.iter().find_map(|rule| {
            let is_about = |pattern: &&Pattern| match rule.profile {
                Some(_) => pattern.matches(known),
                None => pattern.may_be(known),
            };
            let pattern = rule.patterns.iter().find(is_about)?;
            Some((rule, pattern))
        });
        let profile = match first {
            None => refused(format!("no rule of {file} allows {known}")),
            Some((rule, _)) => rule.profile.as_ref().map_or_else(
                || {
                    refused(format!(
                        "the rule {:?} of {file} (line {}) refuses {known}",
                        rule.name.as_str(),
                        rule.line
                    ))
                },
                Ok,
            ),
        };
        Decision { image: read.ok(), rule: first, profile }
    }

    /// How the engine is to be told of an image, so that it understands the one that was decided about.
    #[must_use]
    pub fn spelled(&self, image: &str) -> String {
        if self.list.is_some() { only_as_read(image) } else { image.to_owned() }
    }

    /// What is allowed and looks like a mistake.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (at, rule) in self.rules().iter().enumerate() {
            let (name, line) = (rule.name.as_str(), rule.line);
            let before = &self.rules()[..at];
            let covering = |pattern: &Pattern| {
                before.iter().find(|earlier| earlier.patterns.iter().any(|other| other.covers(pattern)))
            };
            for pattern in &rule.patterns {
                if let Some(earlier) = covering(pattern) {
                    warnings.push(format!(
                        "the pattern {pattern} of the rule {name:?} (line {line}) never decides: the rule {:?} (line \
                         {}) stands before it and is about all of its images",
                        earlier.name.as_str(),
                        earlier.line
                    ));
                }
            }
            for looser in &rule.patterns {
                let strict =
                    before.iter().filter(|earlier| earlier.profile.is_some() && rule.profile.is_some());
                for (earlier, pattern) in
                    strict.flat_map(|earlier| earlier.patterns.iter().map(move |pattern| (earlier, pattern)))
                {
                    if pattern.gives_way_to(looser) && earlier.profile != rule.profile {
                        warnings.push(format!(
                            "images of the pattern {pattern} of the rule {:?} (line {}) are the rule {name:?}'s (line \
                             {line}, {looser}) where a job names them by a digest that the former does not: if that \
                             is the looser one, refuse the others between the two rules, or name the digests",
                            earlier.name.as_str(),
                            earlier.line
                        ));
                    }
                }
            }
            for warning in rule.profile.iter().flat_map(|profile| profile.warnings(str::to_owned)) {
                warnings.push(format!("the rule {name:?} (line {line}): {warning}"));
            }
        }
        warnings
    }
}

/// The policy in force, which may be exchanged at any time. Clones share it.
#[derive(Clone, Debug)]
pub struct PolicyHandle(Arc<RwLock<Arc<Policy>>>);

impl PolicyHandle {
    /// One that holds a policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(policy))))
    }

    /// The policy in force now; what is decided by it is not changed by a later one.
    #[must_use]
    pub fn now(&self) -> Arc<Policy> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another one in force.
    pub fn exchange(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

#[cfg(test)]
mod tests;
