//! Patterns of image names: what a rule says which images it is about.
//!
//! `*` stands for any characters but `/`, `**` for any characters. A pattern is brought into the same one form
//! as names are, so that `grader` and `docker.io/library/grader` are one pattern. Without tag and digest it
//! is about all of them. With a tag it is about names with that tag and without a digest: beside a digest
//! the engine does not look at the tag. A rule that refuses is about the names with a digest too, since any may be that
//! tag's. No pattern of names is about ids. With a digest it is about names that carry that very digest.

use std::fmt;

use crate::image::{self, Image, ImageName};

/// A pattern as it was written, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    /// Every image that is named.
    Every,
    /// Every image that is called by its id.
    EveryId,
    /// The image with this id.
    Id(String),
    /// Images by their names.
    Named { repository: Glob, tag: Option<Glob>, digest: Option<String> },
}

/// What a pattern with stars is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glob(Vec<Symbol>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    One(char),
    /// Any number of characters that are no slash.
    Some,
    /// Any number of characters.
    Any,
}

/// What is allowed where a pattern was refused, as a phrase.
pub type Allowed = String;

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<Self, Allowed> {
        Ok(Self { text: text.to_owned(), meaning: Meaning::read(text)? })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is about an image.
    #[must_use]
    pub fn matches(&self, image: &Image) -> bool {
        match (&self.meaning, image) {
            (Meaning::Every, Image::Named(_)) | (Meaning::EveryId, Image::ById(_)) => true,
            (Meaning::Id(id), Image::ById(other)) => id == other,
            (Meaning::Named { repository, tag, digest }, Image::Named(name)) => {
                repository.matches(&Glob::literal(&name.repository()).0)
                    && matches_version(tag.as_ref(), digest.as_deref(), name)
            }
            (Meaning::Id(_) | Meaning::EveryId, Image::Named(_))
            | (Meaning::Every | Meaning::Named { .. }, Image::ById(_)) => false,
        }
    }

    /// Whether a rule that refuses images of this pattern refuses an image: nothing tells which tags a digest has.
    #[must_use]
    pub fn may_be(&self, image: &Image) -> bool {
        self.matches(image)
            || match (&self.meaning, image) {
                (Meaning::Named { repository, tag: Some(_), digest: None }, Image::Named(name)) => {
                    name.digest.is_some() && repository.matches(&Glob::literal(&name.repository()).0)
                }
                _ => false,
            }
    }

    /// Whether images of this pattern are another's as soon as a job names them by a digest (or, where this pattern has
    /// one, without it). It may say no where that is so.
    #[must_use]
    pub fn gives_way_to(&self, other: &Self) -> bool {
        let Meaning::Named { repository, tag, digest } = &self.meaning else { return false };
        (tag.is_some() || digest.is_some())
            && match &other.meaning {
                Meaning::Every => true,
                Meaning::Named { repository: others, tag: None, digest: None } => {
                    others.matches(&repository.0)
                }
                _ => false,
            }
    }

    /// Whether it is about everything that the other is about. It may say no where that is so.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (repository, tag, digest) = match &self.meaning {
            Meaning::Every => return matches!(other.meaning, Meaning::Every | Meaning::Named { .. }),
            Meaning::EveryId => return matches!(other.meaning, Meaning::EveryId | Meaning::Id(_)),
            Meaning::Id(_) => return self.meaning == other.meaning,
            Meaning::Named { repository, tag, digest } => (repository, tag, digest),
        };
        let Meaning::Named { repository: others, tag: their_tag, digest: their_digest } = &other.meaning
        else {
            return false;
        };
        let version = match (digest, tag) {
            (Some(_), _) => digest == their_digest,
            (None, None) => true,
            (None, Some(tag)) => {
                their_digest.is_none() && their_tag.as_ref().is_some_and(|theirs| tag.matches(&theirs.0))
            }
        };
        version && repository.matches(&others.0)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn matches_version(tag: Option<&Glob>, digest: Option<&str>, name: &ImageName) -> bool {
    match (digest, tag) {
        (Some(digest), _) => name.digest.as_deref() == Some(digest),
        (None, None) => true,
        (None, Some(tag)) => name.tag.as_deref().is_some_and(|other| tag.matches(&Glob::literal(other).0)),
    }
}

impl Meaning {
    fn read(text: &str) -> Result<Self, Allowed> {
        if text == "**" {
            return Ok(Self::Every);
        }
        if text == "id:*" {
            return Ok(Self::EveryId);
        }
        if text == "*" {
            let all = "\"**\" for every image, or \"docker.io/library/*\" for those of Docker Hub with one-word names";
            return Err(all.into());
        }
        if let Ok(Image::ById(id)) = Image::read(text) {
            let whole = id.len() == 64;
            return whole
                .then_some(Self::Id(id))
                .ok_or_else(|| "an image's whole id, sha256: and 64 digits".into());
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) if image::is_digest(digest) => (named, Some(digest.to_owned())),
            Some(_) => return Err("a whole digest behind '@': sha256: and 64 digits of 0-9a-f".into()),
            None => (text, None),
        };
        let (repository, tag) = image::split_tag(named);
        let tag = tag.map(tag_glob).transpose()?;
        Ok(Self::Named { repository: repository_glob(repository)?, tag, digest })
    }
}

fn tag_glob(tag: &str) -> Result<Glob, Allowed> {
    let without_stars = tag.replace('*', "x");
    if !image::is_tag(&without_stars) {
        return Err("behind ':' a tag: letters, digits, '_', '.', '-', and '*' for any of them".into());
    }
    Glob::read(tag)
}

fn repository_glob(repository: &str) -> Result<Glob, Allowed> {
    let (registry, path) = match repository.strip_prefix("**/") {
        Some(path) => (Some("**"), path),
        None => image::split_registry(repository),
    };
    let known = match registry {
        None | Some("**") => true,
        Some(registry) => image::is_registry(registry.strip_prefix("*.").unwrap_or(registry)),
    };
    if !known {
        return Err(
            "as registry a host with or without a port, such as registry.example.org:5000; '*.' for any \
                    host below one, '**/' for any registry"
                .into(),
        );
    }
    // With letters in place of its stars it must be a name that an image can have.
    let as_name = path.replace("**", "x").replace('*', "x");
    let is_name = matches!(Image::read(&format!("r.io/{as_name}:x")), Ok(Image::Named(_)));
    if !is_name || path.contains("***") {
        return Err(
            "a name of lower-case letters, digits, '.', '_', '-' and '/', with '*' for any characters but \
                    '/' and '**' for any"
                .into(),
        );
    }
    if registry == Some("**") {
        return Glob::read(&format!("**/{path}"));
    }
    let (registry, path) = image::one_form(registry, path);
    Glob::read(&format!("{registry}/{path}"))
}

impl Glob {
    fn read(text: &str) -> Result<Self, Allowed> {
        let mut symbols = Vec::new();
        for c in text.chars() {
            match (c, symbols.last()) {
                ('*', Some(Symbol::Some)) => {
                    symbols.pop();
                    symbols.push(Symbol::Any);
                }
                ('*', Some(Symbol::Any)) => return Err("at most two stars in a row".into()),
                ('*', _) => symbols.push(Symbol::Some),
                (c, _) => symbols.push(Symbol::One(c)),
            }
        }
        Ok(Self(symbols))
    }

    fn literal(text: &str) -> Self {
        Self(text.chars().map(Symbol::One).collect())
    }

    /// Whether all of a text is matched; stars in it are matched by stars that say as much.
    fn matches(&self, text: &[Symbol]) -> bool {
        // Which beginnings of the text the symbols so far can match, by their lengths.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for symbol in &self.0 {
            let mut next = vec![false; text.len() + 1];
            let mut open = false;
            for (at, was) in reached.iter().enumerate() {
                match symbol {
                    Symbol::One(_) => {
                        if *was && text.get(at) == Some(symbol) {
                            next[at + 1] = true;
                        }
                    }
                    Symbol::Some | Symbol::Any => {
                        open |= *was;
                        next[at] = open;
                        open &= text.get(at).is_some_and(|other| symbol.swallows(*other));
                    }
                }
            }
            reached = next;
        }
        reached.last().is_some_and(|whole| *whole)
    }
}

impl Symbol {
    /// Whether this star stands for the other symbol, among others.
    fn swallows(self, other: Self) -> bool {
        self == Self::Any || !matches!(other, Self::One('/') | Self::Any)
    }
}

#[cfg(test)]
mod tests;
