//! What a container prints, line by line and safe for a terminal; the secret of its verdict is never shown.

use std::io::{self, Write};

use crate::docker::{Engine, EngineError, Said};
use crate::identity::ContainerId;
use crate::labels::SECRET_LABEL;
use crate::seal::{Redactor, Seal};
use crate::tools::premises::Refused;
use crate::tools::terminal::{Terminal, printable};

/// A line that is longer is shown in parts.
const LONGEST_LINE: usize = 16 << 10;
/// How much is told in JSON at most, from the end.
const CAPTURED: usize = 1 << 20;

/// What is to be shown of it.
pub(super) struct Show {
    pub follow: bool,
    pub tail: Option<u32>,
}

/// Shows what a container prints. Tells whether there was one.
pub(super) async fn show(
    engine: &Engine,
    container: &ContainerId,
    order: &Show,
    out: &mut Terminal<'_>,
) -> Result<bool, Refused> {
    let seal = seal_of(engine, container).await?;
    let Some(mut printed) = engine.printed(container, order.follow, order.tail).await? else {
        return Ok(false);
    };
    let mut person = Terminal::stderr();
    let (mut stdout, mut stderr) = (Lines::new(seal.clone()), Lines::new(seal));
    while let Some(Said { stdout: out_bytes, stderr: err_bytes }) = printed.next().await? {
        stdout.push(&out_bytes, out)?;
        stderr.push(&err_bytes, &mut person)?;
    }
    stdout.end(out)?;
    stderr.end(&mut person)?;
    Ok(true)
}

/// The end of what a container has printed to both streams; `None` = it is gone.
pub(super) async fn captured(
    engine: &Engine,
    container: &ContainerId,
    tail: Option<u32>,
) -> Result<Option<String>, Refused> {
    let seal = seal_of(engine, container).await?;
    let Some(mut printed) = engine.printed(container, false, tail).await? else { return Ok(None) };
    let mut captured = Captured::new(seal);
    while let Some(said) = printed.next().await? {
        captured.push(&said)?;
    }
    captured.end().map(Some).map_err(Refused::from)
}

async fn seal_of(engine: &Engine, container: &ContainerId) -> Result<Option<Seal>, EngineError> {
    let inspected = engine.inspect(container.as_str()).await?;
    // Also of a container whose other labels cannot be read.
    Ok(inspected.and_then(|inspected| Seal::parse(inspected.labels.get(SECRET_LABEL)?)))
}

/// The end of what came of both streams, in the order of its lines.
struct Captured {
    stdout: Lines,
    stderr: Lines,
    text: Vec<u8>,
}

impl Captured {
    fn new(seal: Option<Seal>) -> Self {
        Self { stdout: Lines::new(seal.clone()), stderr: Lines::new(seal), text: Vec::new() }
    }

    fn push(&mut self, said: &Said) -> io::Result<()> {
        self.stdout.push(&said.stdout, &mut self.text)?;
        self.stderr.push(&said.stderr, &mut self.text)?;
        if self.text.len() > 2 * CAPTURED {
            self.text.drain(..self.text.len() - CAPTURED);
        }
        Ok(())
    }

    fn end(mut self) -> io::Result<String> {
        self.stdout.end(&mut self.text)?;
        self.stderr.end(&mut self.text)?;
        let from = self.text.len().saturating_sub(CAPTURED);
        Ok(String::from_utf8_lossy(&self.text[from..]).into_owned())
    }
}

/// Puts the pieces of a stream together to lines, without the secret.
struct Lines {
    line: Vec<u8>,
    redactor: Redactor,
}

impl Lines {
    fn new(seal: Option<Seal>) -> Self {
        Self { line: Vec::new(), redactor: Redactor::new(seal) }
    }

    fn push(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        let bytes = self.redactor.push(bytes);
        self.add(&bytes, out)?;
        out.flush()
    }

    fn add(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() >= LONGEST_LINE {
                self.write(out)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        let bytes = self.redactor.end();
        self.add(&bytes, out)?;
        self.write(out)
    }

    fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.line.is_empty() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']).replace('\t', "    ");
        writeln!(out, "{}", printable(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        Seal::parse("abcdefghijklmnopacegikmobdfhjlnpaeimcgko").expect("legal")
    }

    /// What is shown of two streams by those who see them apart, and by those who see both.
    fn shown(pieces: &[(&[u8], &[u8])], seal: Option<Seal>) -> [String; 3] {
        let (mut stdout, mut stderr) = (Lines::new(seal.clone()), Lines::new(seal.clone()));
        let (mut captured, mut out, mut err) = (Captured::new(seal), Vec::new(), Vec::new());
        for (of_stdout, of_stderr) in pieces {
            stdout.push(of_stdout, &mut out).expect("written");
            stderr.push(of_stderr, &mut err).expect("written");
            let said = Said { stdout: of_stdout.to_vec(), stderr: of_stderr.to_vec() };
            captured.push(&said).expect("written");
        }
        stdout.end(&mut out).expect("written");
        stderr.end(&mut err).expect("written");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        [text(out), text(err), captured.end().expect("written")]
    }

    fn of_stdout(pieces: &[&[u8]], seal: Option<Seal>) -> String {
        let pieces: Vec<(&[u8], &[u8])> = pieces.iter().map(|piece| (*piece, &b""[..])).collect();
        let [stdout, stderr, captured] = shown(&pieces, seal);
        assert!(captured == stdout && stderr.is_empty(), "{captured} {stderr}");
        stdout
    }

    #[test]
    fn lines_come_out_whole_and_play_no_tricks_on_a_terminal() {
        assert_eq!(of_stdout(&[b"on", b"e\ntw", b"o\r\n\x1b[31mred"], None), "one\ntwo\n·[31mred\n");
        assert_eq!(of_stdout(&[b"a\tb"], None), "a    b\n");
        let long = vec![b'x'; LONGEST_LINE];
        assert_eq!(of_stdout(&[&long, b"y"], None).lines().count(), 2);
    }

    #[test]
    fn a_line_of_one_stream_is_not_torn_by_the_other() {
        let [.., captured] = shown(&[(b"one", b"err"), (b" line\n", b"or"), (b"", b"!\n")], None);
        assert_eq!(captured, "one line\nerror!\n");
    }

    #[test]
    fn a_secret_is_not_shown_wherever_it_was_cut() {
        let line = format!("--BEGIN {}--\n", seal().reveal());
        for at in 0..=line.len() {
            let (start, end) = line.as_bytes().split_at(at);
            // Lines of the other stream in between, and the same secret in both.
            for (beside, more) in [(&b""[..], &b""[..]), (b"x", b"\n"), (start, end)] {
                let [stdout, _, both] = shown(&[(start, beside), (end, more)], Some(seal()));
                assert_eq!(stdout, "--BEGIN [secret]--\n", "{at}");
                assert!(
                    !both.contains(&seal().reveal()[..4]) && !both.contains(&seal().reveal()[36..]),
                    "{both}"
                );
            }
        }
    }

    #[test]
    fn a_secret_is_not_shown_where_a_long_line_is_cut() {
        for before in LONGEST_LINE - 45..=LONGEST_LINE + 5 {
            let line = format!("{}{}!", "x".repeat(before), seal().reveal());
            // As the engine hands on what it keeps in parts of 16 KiB, and in small pieces.
            for size in [16 << 10, 1000] {
                let pieces: Vec<&[u8]> = line.as_bytes().chunks(size).collect();
                let shown = of_stdout(&pieces, Some(seal())).replace('\n', "");
                assert_eq!(shown, format!("{}[secret]!", "x".repeat(before)), "{before} {size}");
            }
        }
    }

    #[test]
    fn a_secret_is_not_shown_where_the_shown_part_begins_or_ends_in_it() {
        let secret = seal().reveal().to_owned();
        for at in 4..36 {
            let [stdout, stderr, both] = shown(
                &[(&secret.as_bytes()[at..], b"x"), (b" then", &secret.as_bytes()[..at])],
                Some(seal()),
            );
            assert_eq!((stdout.as_str(), stderr.as_str()), ("[secret] then\n", "x[secret]\n"), "{at}");
            assert_eq!(both, "[secret] then\nx[secret]\n");
        }
    }

    #[test]
    fn of_very_much_the_end_is_told() {
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        let text = [line.repeat(2 * CAPTURED / 100 + 9), b"last".to_vec()].concat();
        let pieces: Vec<(&[u8], &[u8])> = text.chunks(50_000).map(|piece| (piece, &b""[..])).collect();
        let [.., captured] = shown(&pieces, Some(seal()));
        assert!(
            captured.len() <= CAPTURED && captured.len() > CAPTURED / 2 && captured.ends_with("x\nlast\n")
        );
    }
}
