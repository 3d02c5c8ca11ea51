//! What a grader wrote, bounded: head and tail of each stream, and the verdict block wherever it stood.

mod blocks;
mod excerpt;
mod stream;

use std::borrow::Cow;

use blocks::Scanner;
pub use blocks::{Block, Blocks};
pub use excerpt::{Shown, visible};
use stream::Stream;

use crate::seal::Seal;

/// Gathers what a container wrote, in any chunks, without ever holding much more than its limit.
///
/// The result depends on the bytes of each stream only, never on how they were cut into chunks or on
/// which stream was quicker.
#[derive(Debug)]
pub struct Capture {
    limit: usize,
    seal: Option<Seal>,
    stdout: Stream,
    stderr: Stream,
    flood: Option<Flood>,
}

/// What a container wrote, as far as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    limit: usize,
    seal: Option<Seal>,
    stdout: Stream,
    stderr: Stream,
    /// The blocks of each stream, where something was left out.
    flood: Option<(Blocks, Blocks)>,
}

/// The search for blocks in streams of which not everything is kept.
#[derive(Debug)]
struct Flood {
    stdout: Scanner,
    stderr: Scanner,
}

impl Capture {
    /// Keeps at most `limit` bytes of both streams together, and a verdict block of at most as many
    /// of each stream.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self::sealed(limit, None)
    }

    /// The same of a container whose verdict needs a secret, where there is one: without it nothing counts.
    #[must_use]
    pub fn sealed(limit: u64, seal: Option<Seal>) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, seal, stdout: Stream::default(), stderr: Stream::default(), flood: None }
    }

    /// Takes the next bytes of the standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        if let Some(flood) = self.flooded_by(bytes.len()) {
            flood.stdout.push(bytes);
        }
        let (stdout, stderr) = (self.stdout.total() + bytes.len(), self.stderr.total());
        self.stdout.push(bytes, self.stdout_budget(stderr));
        self.stderr.shrink(self.stderr_budget(stdout));
    }

    /// Takes the next bytes of the standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        if let Some(flood) = self.flooded_by(bytes.len()) {
            flood.stderr.push(bytes);
        }
        let (stdout, stderr) = (self.stdout.total(), self.stderr.total() + bytes.len());
        self.stderr.push(bytes, self.stderr_budget(stdout));
        self.stdout.shrink(self.stdout_budget(stderr));
    }

    /// The streams have ended.
    #[must_use]
    pub fn finish(self) -> Output {
        Output {
            limit: self.limit,
            seal: self.seal,
            stdout: self.stdout,
            stderr: self.stderr,
            flood: self.flood.map(|flood| (flood.stdout.finish(), flood.stderr.finish())),
        }
    }

    /// Each stream may have half of the limit, and what the other does not need of its half.
    fn stdout_budget(&self, stderr: usize) -> usize {
        (self.limit - self.limit / 2).max(self.limit.saturating_sub(stderr))
    }

    fn stderr_budget(&self, stdout: usize) -> usize {
        (self.limit / 2).max(self.limit.saturating_sub(stdout))
    }

    /// The search for blocks, once more came than is kept. It starts with what came before, which is
    /// all at hand at that moment.
    fn flooded_by(&mut self, more: usize) -> Option<&mut Flood> {
        let total = self.stdout.total() + self.stderr.total() + more;
        if self.flood.is_none() && total > self.limit {
            let scanner = || Scanner::new(self.limit, self.seal.as_ref());
            let mut flood = Flood { stdout: scanner(), stderr: scanner() };
            flood.stdout.push(self.stdout.bytes().unwrap_or_default());
            flood.stderr.push(self.stderr.bytes().unwrap_or_default());
            self.flood = Some(flood);
        }
        self.flood.as_mut()
    }
}

impl Output {
    /// An output of which nothing was left out.
    #[must_use]
    pub fn whole(stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Self {
        let (stdout, stderr) = (Stream::whole(stdout.into()), Stream::whole(stderr.into()));
        Self { limit: usize::MAX, seal: None, stdout, stderr, flood: None }
    }

    /// The secret without which nothing in it counts.
    #[must_use]
    pub fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// Whether there is a block that has no secret, where one is wanted. Not known of an output that was cut.
    #[must_use]
    pub fn has_plain_block(&self) -> bool {
        !self.was_cut() && Scanner::scan(&self.both().unwrap_or_default(), None).count > 0
    }

    /// How many bytes the container wrote in all, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.stdout.total() as u64 + self.stderr.total() as u64
    }

    /// How many bytes are kept at most.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit as u64
    }

    /// Whether bytes were left out.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.flood.is_some()
    }

    /// The standard output, where nothing of it was left out.
    #[must_use]
    pub fn stdout(&self) -> Option<&[u8]> {
        self.stdout.bytes()
    }

    /// The standard error, where nothing of it was left out.
    #[must_use]
    pub fn stderr(&self) -> Option<&[u8]> {
        self.stderr.bytes()
    }

    /// The standard output followed by the standard error, where nothing was left out.
    #[must_use]
    pub fn both(&self) -> Option<Cow<'_, [u8]>> {
        match (self.stdout()?, self.stderr()?) {
            (stdout, []) => Some(Cow::Borrowed(stdout)),
            ([], stderr) => Some(Cow::Borrowed(stderr)),
            (stdout, stderr) => Some(Cow::Owned([stdout, stderr].concat())),
        }
    }

    /// Whether bytes of the standard output were left out, and what is kept of it begins and ends as a
    /// verdict does.
    #[must_use]
    pub fn resembles_an_object(&self) -> bool {
        !self.stdout.is_whole()
            && self.stdout.edges().is_some_and(|(first, last)| first == b'{' && last == b'}')
            && self.stdout.holds(b"\"success\"")
    }

    /// The verdict blocks in the standard output.
    #[must_use]
    pub fn blocks_of_stdout(&self) -> Blocks {
        match &self.flood {
            Some((stdout, _)) => stdout.clone(),
            None => Scanner::scan(self.stdout().unwrap_or_default(), self.seal()),
        }
    }

    /// The verdict blocks in the standard output followed by the standard error. Where something was
    /// left out, a block that begins in the one and ends in the other is not seen.
    #[must_use]
    pub fn blocks_of_both(&self) -> Blocks {
        match &self.flood {
            Some((stdout, stderr)) => Blocks {
                count: stdout.count + stderr.count,
                first: stdout.first.as_ref().or(stderr.first.as_ref()).cloned(),
                open: stdout.open || stderr.open,
            },
            None => Scanner::scan(&self.both().unwrap_or_default(), self.seal()),
        }
    }
}

#[cfg(test)]
mod tests;
