//! What a stream can show: colour, and how much room there is.

use std::env;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As all the rest.
    #[default]
    Plain,
    /// A heading, or what matters.
    Strong,
    /// What matters least.
    Faint,
    /// All is well.
    Good,
    /// Worth knowing.
    Note,
    /// Something is about to go wrong.
    Warning,
    /// Something is wrong.
    Bad,
}

impl Style {
    /// The parameters of the escape sequence that begins it (ECMA-48, SGR).
    pub(super) fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Note => Some("36"),
            Self::Warning => Some("33"),
            Self::Bad => Some("1;31"),
        }
    }
}

/// What is known of where the output goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub colour: bool,
    pub live: bool,
    pub columns: Option<usize>,
    pub rows: Option<usize>,
}

impl Look {
    pub fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        let live = stream.is_terminal();
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let is = |name: &str, value: &str| set(name).is_some_and(|found| found == value);
        let window = tcgetwinsize(stream).ok().filter(|_| live);
        let some = |count: u16| Some(usize::from(count)).filter(|count| *count > 0);
        Self {
            colour: colours(
                live && !is("TERM", "dumb"),
                set("NO_COLOR").is_some(),
                set("CLICOLOR_FORCE").is_some() && !is("CLICOLOR_FORCE", "0"),
            ),
            live,
            columns: window.and_then(|size| some(size.ws_col)),
            rows: window.and_then(|size| some(size.ws_row)),
        }
    }
}

/// Whether there is colour: on what can show it, unless refused, and where it is forced.
fn colours(able: bool, refused: bool, forced: bool) -> bool {
    !refused && (able || forced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_colour_where_it_can_be_shown_or_is_forced_and_never_where_it_is_refused() {
        assert!(colours(true, false, false) && colours(false, false, true));
        assert!(!colours(false, false, false) && !colours(true, true, true));
    }
}
