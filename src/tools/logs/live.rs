//! What a container prints, line by line and safe for a terminal; the secret of its verdict is never shown.

use std::io::{self, Write};

use crate::docker::{Engine, EngineError, Said};
use crate::identity::ContainerId;
use crate::labels::Labels;
use crate::tools::premises::Refused;
use crate::tools::terminal::{Terminal, printable};

/// A line that is longer is shown in parts.
const LONGEST_LINE: usize = 16 << 10;
/// How much is told in JSON at most, from the end.
const CAPTURED: usize = 1 << 20;
/// What stands in place of a secret.
const STARS: &str = "********";

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
    let secret = secret_of(engine, container).await?;
    let Some(mut printed) = engine.printed(container, order.follow, order.tail).await? else {
        return Ok(false);
    };
    let mut person = Terminal::stderr();
    let (mut stdout, mut stderr) = (Lines::new(secret.clone()), Lines::new(secret));
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
    let secret = secret_of(engine, container).await?;
    let Some(mut printed) = engine.printed(container, false, tail).await? else { return Ok(None) };
    let (mut lines, mut text) = (Lines::new(secret), Vec::new());
    while let Some(Said { stdout, stderr }) = printed.next().await? {
        lines.push(&stdout, &mut text)?;
        lines.push(&stderr, &mut text)?;
        if text.len() > 2 * CAPTURED {
            text.drain(..text.len() - CAPTURED);
        }
    }
    lines.end(&mut text)?;
    let from = text.len().saturating_sub(CAPTURED);
    Ok(Some(String::from_utf8_lossy(&text[from..]).into_owned()))
}

async fn secret_of(engine: &Engine, container: &ContainerId) -> Result<Option<String>, EngineError> {
    let inspected = engine.inspect(container.as_str()).await?;
    let labels = inspected.and_then(|inspected| Labels::from_map(&inspected.labels));
    Ok(labels.and_then(|labels| labels.seal).map(|seal| seal.reveal().to_owned()))
}

/// Puts the pieces of a stream together to lines.
struct Lines {
    line: Vec<u8>,
    secret: Option<String>,
}

impl Lines {
    fn new(secret: Option<String>) -> Self {
        Self { line: Vec::new(), secret }
    }

    fn push(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() >= LONGEST_LINE {
                self.end(out)?;
            }
        }
        out.flush()
    }

    fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.line.is_empty() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']).replace('\t', "    ");
        let text = match &self.secret {
            Some(secret) => text.replace(secret.as_str(), STARS),
            None => text,
        };
        writeln!(out, "{}", printable(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]], secret: Option<&str>) -> String {
        let (mut lines, mut text) = (Lines::new(secret.map(str::to_owned)), Vec::new());
        for piece in pieces {
            lines.push(piece, &mut text).expect("written");
        }
        lines.end(&mut text).expect("written");
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn lines_come_out_whole_and_play_no_tricks_on_a_terminal() {
        assert_eq!(shown(&[b"on", b"e\ntw", b"o\r\n\x1b[31mred"], None), "one\ntwo\n·[31mred\n");
        assert_eq!(shown(&[b"a\tb"], None), "a    b\n");
        let long = vec![b'x'; LONGEST_LINE];
        assert_eq!(shown(&[&long, b"y"], None).lines().count(), 2);
    }

    #[test]
    fn a_secret_is_not_shown_wherever_it_was_cut() {
        assert_eq!(shown(&[b"BEGIN s3c", b"ret END\n"], Some("s3cret")), "BEGIN ******** END\n");
    }
}
