//! Image names as Docker reads them, brought into one form: `grader` is `docker.io/library/grader:latest`.
//!
//! The grammar is that of [distribution's references](https://github.com/distribution/reference). On top of
//! it spellings that lead to the same registry are made one, and what the engine may take for an image's id
//! is told apart from names: a policy must not be got round by another spelling.

use std::fmt;

/// The registry of names that name none.
pub const HUB: &str = "docker.io";
/// Where Docker Hub keeps the images that are called by one word.
pub const LIBRARY: &str = "library";
/// The tag of names that have none.
pub const LATEST: &str = "latest";

/// Names of Docker Hub's registry.
const HUBS: [&str; 4] = [HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
/// The port that `https` has anyway.
const HTTPS: &str = ":443";
/// How long a name, and a tag, may be.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// What a job's `image` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// An image by its name.
    Named(ImageName),
    /// An image by its id, or by the beginning of it: hexadecimal digits.
    ById(String),
}

/// An image's name in its one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// The registry, in lower case and with its port unless that is 443.
    pub registry: String,
    /// The repository in the registry.
    pub path: String,
    /// The tag, unless there is a digest: then the engine does not look at it.
    pub tag: Option<String>,
    /// The digest, like `sha256:` and 64 digits.
    pub digest: Option<String>,
}

/// What no image can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    /// Its repository's name has characters, or an order of them, that it cannot have.
    #[error(
        "an image's name is lower-case letters and digits with '.', '_', '-' between them, in parts between '/'"
    )]
    Name,
    /// Its tag is none.
    #[error("a tag is up to 128 letters, digits, '_', '.' and '-', the first not '.' or '-'")]
    Tag,
    /// Its digest is none.
    #[error("a digest is 'sha256:' and 64 digits of 0-9a-f")]
    Digest,
    /// It is too long.
    #[error("an image's name has at most {LONGEST_NAME} characters")]
    TooLong,
}

impl Image {
    /// Reads what a job names.
    ///
    /// # Errors
    /// No image can be called so; the engine refuses it too.
    pub fn read(text: &str) -> Result<Self, NoImage> {
        let hex = |text: &str| !text.is_empty() && text.bytes().all(is_hex);
        // The engine looks for the id that begins so where it finds no image of this name.
        if text.strip_prefix("sha256:").is_some_and(hex) || text.len() == 64 && hex(text) {
            return Ok(Self::ById(text.strip_prefix("sha256:").unwrap_or(text).to_owned()));
        }
        ImageName::read(text).map(Self::Named)
    }
}

impl ImageName {
    fn read(text: &str) -> Result<Self, NoImage> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        let (repository, tag) = split_tag(named);
        let (registry, path) = split_registry(repository);
        if !registry.is_none_or(is_registry) || !path.split('/').all(is_part) {
            return Err(NoImage::Name);
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(NoImage::Tag);
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(NoImage::Digest);
        }
        let (registry, path) = one_form(registry, path);
        if registry.len() + 1 + path.len() > LONGEST_NAME {
            return Err(NoImage::TooLong);
        }
        let tag = digest.is_none().then(|| tag.unwrap_or(LATEST).to_owned());
        Ok(Self { registry, path, tag, digest: digest.map(str::to_owned) })
    }

    /// Registry and repository.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.path)?;
        self.tag.iter().try_for_each(|tag| write!(formatter, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(formatter, "@{digest}"))
    }
}

impl fmt::Display for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(formatter),
            Self::ById(id) => write!(formatter, "the id sha256:{id}"),
        }
    }
}

/// How the engine is to be told of an image that was allowed by its name: one that the engine could take for
/// the beginning of an id as well is given the tag that it means, and so can only be a name; an id is told as one.
#[must_use]
pub fn only_as_read(image: &str) -> String {
    if let Ok(Image::ById(id)) = Image::read(image) {
        return format!("sha256:{id}");
    }
    if !image.is_empty() && image.bytes().all(is_hex) {
        format!("{image}:{LATEST}")
    } else {
        image.to_owned()
    }
}

/// Splits a name without digest into the repository and the tag: what follows the colon of its last part.
#[must_use]
pub fn split_tag(named: &str) -> (&str, Option<&str>) {
    let last = named.rfind('/').map_or(0, |slash| slash + 1);
    match named[last..].find(':') {
        Some(colon) if !named.starts_with('[') || last > 0 => {
            (&named[..last + colon], Some(&named[last + colon + 1..]))
        }
        _ => (named, None),
    }
}

/// Splits a repository into the registry, where it names one, and the rest. The first part names a registry
/// if it has a dot or a colon, or is `localhost`. (Newer engines take one with a capital letter for a registry
/// too: such a name has no one form, and none is given to it.)
#[must_use]
pub fn split_registry(repository: &str) -> (Option<&str>, &str) {
    match repository.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, repository),
    }
}

/// Registry and path in their one form.
#[must_use]
pub fn one_form(registry: Option<&str>, path: &str) -> (String, String) {
    let registry = registry.unwrap_or(HUB).to_ascii_lowercase();
    let registry = registry.strip_suffix(HTTPS).unwrap_or(&registry);
    if !HUBS.contains(&registry) {
        return (registry.to_owned(), path.to_owned());
    }
    let path = if path.contains('/') { path.to_owned() } else { format!("{LIBRARY}/{path}") };
    (HUB.to_owned(), path)
}

/// Whether it is a host, with or without a port.
#[must_use]
pub fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => return is_address(address),
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_label = |label: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        edge(label.chars().next())
            && edge(label.chars().next_back())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_host = if text.starts_with('[') {
        port.is_some() && is_address(host)
    } else {
        host.split('.').all(is_label)
    };
    is_host && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_address(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
}

/// Whether it can stand between two slashes: letters and digits, and between them one dot, one or two
/// underscores, or any number of dashes.
fn is_part(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let begins_and_ends = text.starts_with(is_letter) && text.ends_with(is_letter);
    begins_and_ends
        && text.split(is_letter).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
}

/// Whether it can be a tag.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=LONGEST_TAG).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with(['.', '-'])
}

/// Whether it can be a digest. The engines know one kind only.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests;
