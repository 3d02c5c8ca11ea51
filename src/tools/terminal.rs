//! Where commands write what a person reads: colour, width and tables where there is a terminal, plain text
//! elsewhere, and one JSON document where that was asked for.
//!
//! Colour is there on a terminal only. `NO_COLOR` (<https://no-color.org>) and `TERM=dumb` take it away,
//! `CLICOLOR_FORCE` (<https://bixense.com/clicolors>) gives it to pipes too, and `NO_COLOR` is the strongest.
//!
//! What strangers wrote goes through [`printable`]; cells of a [`Table`] do so by themselves.

mod look;
mod table;
mod words;

use std::io::{self, Write};

use serde::Serialize;

use crate::telemetry::harmless;

use look::Look;

pub use look::Style;
pub use table::{Cell, Column, Table};
pub use words::{ago, bytes, fit, millis, printable, seconds, span, time, width};

/// A stream with what it can show. It is written to like any other stream.
pub struct Terminal<'a> {
    out: Box<dyn Write + 'a>,
    look: Look,
    is_untouched: bool,
}

impl Terminal<'static> {
    /// The standard output.
    #[must_use]
    pub fn stdout() -> Self {
        let look = Look::of(&io::stdout());
        // Not locked, so that it may be held by tasks.
        Self::new(io::stdout(), look)
    }

    /// The standard error: for what a person is to see while the standard output is for a program.
    #[must_use]
    pub fn stderr() -> Self {
        let look = Look::of(&io::stderr());
        Self::new(io::stderr(), look)
    }
}

impl<'a> Terminal<'a> {
    fn new(out: impl Write + 'a, look: Look) -> Self {
        Self { out: Box::new(out), look, is_untouched: true }
    }

    /// A stream that is no terminal.
    #[must_use]
    pub fn plain(out: impl Write + 'a) -> Self {
        Self::new(out, Look::default())
    }

    /// Whether nothing was written to it yet.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    /// Whether a person watches, so that what was written can be written over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.look.live
    }

    /// How wide it is, in columns; nothing where that does not matter.
    #[must_use]
    pub fn columns(&self) -> Option<usize> {
        self.look.columns
    }

    /// A text of ours that stands out, where there is colour. A stranger's goes through [`printable`] first.
    #[must_use]
    pub fn painted(&self, style: Style, text: &str) -> String {
        match style.code().filter(|_| self.look.colour && !text.is_empty()) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }

    /// Writes a table, with its heads if it has rows.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        for line in table.lines(self) {
            writeln!(self, "{line}")?;
        }
        Ok(())
    }

    /// Writes names and values below each other, the values in one column. The values are printable already.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn pairs(&mut self, pairs: &[(&str, String)]) -> io::Result<()> {
        let widest = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        for (name, value) in pairs {
            let gap = " ".repeat(widest.saturating_sub(width(name)) + 2);
            let name = self.painted(Style::Faint, name);
            writeln!(self, "{name}{gap}{value}")?;
        }
        Ok(())
    }

    /// Writes one JSON document: in lines for a person at a terminal, on one line for a program.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn document(&mut self, document: &impl Serialize) -> io::Result<()> {
        let text = if self.look.live {
            serde_json::to_string_pretty(document)
        } else {
            serde_json::to_string(document)
        }?;
        writeln!(self, "{}", harmless(&text))?;
        self.flush()
    }

    /// Writes one of many JSON documents, on one line wherever it goes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn line(&mut self, document: &impl Serialize) -> io::Result<()> {
        writeln!(self, "{}", harmless(&serde_json::to_string(document)?))?;
        self.flush()
    }

    /// Writes a screen over the one before, on a terminal; elsewhere below it, with an empty line between them.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn screen(&mut self, draw: impl FnOnce(&mut Terminal<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut drawn = Vec::new();
        draw(&mut Terminal::new(&mut drawn, self.look))?;
        if self.look.live {
            // Home, each line cleared behind its text, and what is below: nothing flickers.
            // Lines that are too long are cut and not broken, or there would be more of them than are counted.
            let mut text = String::from("\u{1b}[?7l\u{1b}[H");
            let drawn = String::from_utf8_lossy(&drawn);
            let (room, lines) = (self.look.rows.map_or(usize::MAX, |rows| rows - 1), drawn.lines().count());
            let shown = if lines > room { room.saturating_sub(1) } else { lines };
            drawn.lines().take(shown).for_each(|line| text.extend([line, "\u{1b}[K\n"]));
            if lines > shown {
                let more = lines - shown;
                text.extend(["… ", &more.to_string(), " more lines\u{1b}[K\n"]);
            }
            write!(self, "{text}\u{1b}[J\u{1b}[?7h")?;
        } else {
            self.write_all(&drawn)?;
            writeln!(self)?;
        }
        self.flush()
    }

    /// Empties the screen of a terminal, for a first [`Terminal::screen`].
    ///
    /// # Errors
    /// It cannot be written.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.look.live { write!(self, "\u{1b}[H\u{1b}[2J") } else { Ok(()) }
    }

    /// Writes a line of progress over the one before, on a terminal; elsewhere nothing. An empty one takes it away.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn progress(&mut self, line: &str) -> io::Result<()> {
        if !self.look.live {
            return Ok(());
        }
        let line = self.look.columns.map_or_else(|| line.to_owned(), |columns| fit(line, columns - 1));
        write!(self, "\r\u{1b}[K{line}")?;
        self.flush()
    }
}

impl Write for Terminal<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_untouched = false;
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
impl<'a> Terminal<'a> {
    /// A terminal with colour and so many columns.
    pub(super) fn of_columns(out: impl Write + 'a, columns: usize) -> Self {
        Self::new(out, Look { colour: true, live: true, columns: Some(columns), rows: Some(5) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(
        on: for<'a> fn(&'a mut Vec<u8>) -> Terminal<'a>,
        write: impl FnOnce(&mut Terminal<'_>) -> io::Result<()>,
    ) -> String {
        let mut bytes = Vec::new();
        write(&mut on(&mut bytes)).expect("written");
        String::from_utf8(bytes).expect("text")
    }

    fn plain(out: &mut Vec<u8>) -> Terminal<'_> {
        Terminal::plain(out)
    }

    fn live(out: &mut Vec<u8>) -> Terminal<'_> {
        Terminal::of_columns(out, 20)
    }

    #[test]
    fn what_stands_out_has_colour_where_there_is_any() {
        let shown = |out: &mut Terminal<'_>| {
            let text = out.painted(Style::Bad, "bad") + &out.painted(Style::Plain, "!");
            write!(out, "{text}")
        };
        assert_eq!(written(live, shown), "\u{1b}[1;31mbad\u{1b}[0m!");
        assert_eq!(written(plain, shown), "bad!");
    }

    #[test]
    fn a_document_is_one_line_for_a_program_and_several_for_a_person_and_harmless_in_both() {
        let document = json!({"text": "a\u{1b}[31m\u{9b}\u{202e}b\n", "number": 1});
        let (line, lines) =
            (written(plain, |out| out.document(&document)), written(live, |out| out.document(&document)));
        assert_eq!((line.lines().count(), lines.lines().count()), (1, 4), "{line}{lines}");
        for text in [line, lines] {
            assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), document);
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{text:?}");
        }
    }

    #[test]
    fn a_screen_is_drawn_over_the_last_one_on_a_terminal_and_below_it_elsewhere() {
        let twice = |out: &mut Terminal<'_>| {
            out.screen(|out| writeln!(out, "one"))?;
            out.screen(|out| writeln!(out, "two"))
        };
        assert_eq!(written(plain, twice), "one\n\ntwo\n\n");
        let one = |text: &str| format!("\u{1b}[?7l\u{1b}[H{text}\u{1b}[K\n\u{1b}[J\u{1b}[?7h");
        assert_eq!(written(live, twice), one("one") + &one("two"));
    }

    #[test]
    fn a_screen_that_is_longer_than_the_terminal_does_not_scroll() {
        let long = |out: &mut Terminal<'_>| out.screen(|out| write!(out, "1\n2\n3\n4\n5\n"));
        let shown = written(live, long);
        assert!(shown.contains("3\u{1b}[K\n… 2 more lines\u{1b}[K\n") && !shown.contains('4'), "{shown:?}");
    }

    #[test]
    fn progress_stays_on_its_line_and_is_for_terminals_only() {
        let long = |out: &mut Terminal<'_>| out.progress("working on it for a long time");
        assert_eq!(written(live, long), "\r\u{1b}[Kworking on it for …");
        assert_eq!(written(plain, long), "");
    }

    #[test]
    fn values_of_pairs_stand_in_one_column() {
        let pairs = |out: &mut Terminal<'_>| out.pairs(&[("id", "1".into()), ("größe", "2".into())]);
        assert_eq!(written(plain, pairs), "id     1\ngröße  2\n");
    }
}
