//! The verdict in a grader's output: where it may stand, and whether it is valid.

mod candidate;
mod problem;
mod schema;
mod text;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::output::{Block, Blocks, Output};
use crate::seal::Seal;

pub use candidate::{Candidate, Tried};
pub use problem::{NoVerdict, Place};
pub use schema::Fault;
pub use text::faults;

/// A verdict that is valid against `schemas/container_response.json`, as the grader wrote it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The JSON object, as the text that the grader printed.
    pub json: Box<RawValue>,
    /// Whether the grader could grade the submission.
    pub success: bool,
}

/// Reads the verdict of an output (contract, section 3): of the whole standard output, the one block
/// in it, the standard output followed by the standard error, and the one block in that, the first
/// that is valid. So everything that the original accepts is accepted.
///
/// # Errors
/// None of them is valid; the error tells of the one that was most likely meant.
///
/// Where the output needs a secret ([`Output::seal`]), only the blocks with that secret are candidates.
pub fn read(output: &Output) -> Result<Verdict, NoVerdict> {
    search(output, &mut |_, _, _| {})
}

/// The same, and each candidate that was looked at, for people who write graders.
pub fn tell(output: &Output) -> (Result<Verdict, NoVerdict>, Vec<Tried>) {
    let mut all = Vec::new();
    let read = search(output, &mut |candidate, text, problem| {
        let text = text.map(str::to_owned);
        all.push(Tried { candidate, text, problem: problem.cloned() });
    });
    (read, all)
}

/// Is told of each candidate: its text, where it has one, and what is wrong with it.
type Told<'a> = dyn FnMut(Candidate, Option<&str>, Option<&NoVerdict>) + 'a;

fn search(output: &Output, told: &mut Told<'_>) -> Result<Verdict, NoVerdict> {
    let mut search = Search { likeliest: None, seal: output.seal(), told };
    let found = search
        .whole(Candidate::Stdout, output.stdout().map(Cow::Borrowed))
        .or_else(|| search.block(Candidate::BlockInStdout, &output.blocks_of_stdout(), output))
        .or_else(|| {
            // Without a standard error the same two would be looked at again.
            let more = output.stderr().is_none_or(|stderr| !stderr.is_empty());
            more.then(|| {
                let whole = search.whole(Candidate::Both, output.both());
                whole.or_else(|| search.block(Candidate::BlockInBoth, &output.blocks_of_both(), output))
            })?
        });
    found.ok_or_else(|| search.problem(output))
}

/// The candidates that were looked at so far, none of them valid.
struct Search<'output, 'told> {
    likeliest: Option<NoVerdict>,
    seal: Option<&'output Seal>,
    told: &'output mut Told<'told>,
}

impl Search<'_, '_> {
    fn whole(&mut self, which: Candidate, candidate: Option<Cow<'_, [u8]>>) -> Option<Verdict> {
        match self.seal {
            Some(_) => None,
            None => self.check(which, &candidate?, Place::Output),
        }
    }

    fn block(&mut self, which: Candidate, blocks: &Blocks, output: &Output) -> Option<Verdict> {
        let problem = match (blocks.count, &blocks.first) {
            (1, Some(Block::Whole(content))) => return self.check(which, content, Place::Block),
            (1, _) => NoVerdict::BlockTooLong { limit: output.limit() },
            (0, _) if blocks.open && !output.was_cut() => NoVerdict::Unclosed,
            (0, _) => return None,
            (count, _) => NoVerdict::ManyBlocks { count },
        };
        (self.told)(which, None, Some(&problem));
        self.note(problem);
        None
    }

    fn check(&mut self, which: Candidate, candidate: &[u8], place: Place) -> Option<Verdict> {
        let text = String::from_utf8_lossy(candidate);
        // A grader that tells its secret in its verdict does not get it passed on.
        let text = self.seal.map_or(Cow::Borrowed(&*text), |seal| seal.redacted(&text));
        match text::check(&text, place) {
            Ok(verdict) => {
                (self.told)(which, Some(&text), None);
                Some(verdict)
            }
            Err(problem) => {
                (self.told)(which, Some(&text), Some(&problem));
                self.note(problem);
                None
            }
        }
    }

    /// Of two problems that are equally likely to be what the grader's author wants to hear of, the
    /// first one stays.
    fn note(&mut self, problem: NoVerdict) {
        if self.likeliest.as_ref().is_none_or(|likeliest| problem.likelihood() > likeliest.likelihood()) {
            self.likeliest = Some(problem);
        }
    }

    fn problem(self, output: &Output) -> NoVerdict {
        match self.likeliest {
            None if self.seal.is_some() => NoVerdict::Unsealed {
                silent: output.total() == 0,
                plain: output.has_plain_block() || is_verdict(output.stdout()) || is_verdict(output.stderr()),
            },
            Some(problem) if self.seal.is_some() => problem,
            Some(problem) if problem.is_of_a_verdict() || !output.was_cut() => problem,
            _ if output.resembles_an_object() => {
                NoVerdict::VerdictTooLong { total: output.total(), limit: output.limit() }
            }
            _ if output.was_cut() => NoVerdict::TooLong { total: output.total(), limit: output.limit() },
            _ => NoVerdict::Silent,
        }
    }
}

/// Whether all that was written to a stream is a verdict.
fn is_verdict(stream: Option<&[u8]>) -> bool {
    stream.is_some_and(|stream| text::check(&String::from_utf8_lossy(stream), Place::Output).is_ok())
}

#[cfg(test)]
mod sealed_tests;
#[cfg(test)]
mod tests;
