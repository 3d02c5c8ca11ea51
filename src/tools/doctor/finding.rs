//! What a check found: how bad it is, in which words, and what helps.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, and some day it may not.
    Warning,
    /// It does not work, or loses corrections.
    Failure,
}

impl Verdict {
    pub const EACH: [Self; 4] = [Self::Ok, Self::Note, Self::Warning, Self::Failure];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Its name, for programs.
    pub check: &'static str,
    pub verdict: Verdict,
    pub found: String,
    pub remedy: Option<String>,
}

/// What the checks of one part found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Findings {
    /// The part's name, for programs and for people.
    pub area: &'static str,
    pub title: &'static str,
    pub all: Vec<Finding>,
}

impl Findings {
    pub fn of(area: &'static str, title: &'static str) -> Self {
        Self { area, title, all: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.push(check, Verdict::Ok, found.into(), None);
    }

    pub fn note(&mut self, check: &'static str, found: impl Into<String>, remedy: impl Into<String>) {
        self.push(check, Verdict::Note, found.into(), Some(remedy.into()));
    }

    pub fn warn(&mut self, check: &'static str, found: impl Into<String>, remedy: impl Into<String>) {
        self.push(check, Verdict::Warning, found.into(), Some(remedy.into()));
    }

    pub fn fail(&mut self, check: &'static str, found: impl Into<String>, remedy: impl Into<String>) {
        self.push(check, Verdict::Failure, found.into(), Some(remedy.into()));
    }

    /// A warning whose text holds its remedy: one that components give at start.
    pub fn start_up_warning(&mut self, check: &'static str, found: impl Into<String>) {
        self.push(check, Verdict::Warning, found.into(), None);
    }

    /// Nothing of this part could be checked.
    pub fn skip(&mut self, why: &str) {
        self.note("skipped", format!("not checked: {why}"), "mend what fails first");
    }

    fn push(&mut self, check: &'static str, verdict: Verdict, found: String, remedy: Option<String>) {
        // An empty remedy is none.
        let remedy = remedy.filter(|remedy| !remedy.is_empty());
        self.all.push(Finding { check, verdict, found, remedy });
    }

    /// The worst of it.
    pub fn worst(&self) -> Option<Verdict> {
        self.all.iter().map(|finding| finding.verdict).max()
    }

    /// How many are so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.all.iter().filter(|finding| finding.verdict == verdict).count()
    }
}
