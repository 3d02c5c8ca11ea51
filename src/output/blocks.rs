//! Finds verdict blocks in bytes that come in any chunks, without keeping what stands around them.

use std::fmt;

use crate::seal::Seal;

/// What stands between the dashes of a block's first line, but for the secret.
const BEGIN: &str = "BEGIN CORRECTOMATIC RESPONSE";
/// What stands between the dashes of a block's last line, but for the secret.
const END: &str = "END CORRECTOMATIC RESPONSE";

/// What stands between the dashes of the two lines that count. There is no dash in it, so that a search that
/// was led astray is on its way again at the next dash.
#[derive(Clone, PartialEq, Eq)]
struct Marks {
    begin: Box<[u8]>,
    end: Box<[u8]>,
}

impl Marks {
    fn of(seal: Option<&Seal>) -> Self {
        let mark = |words: &str| {
            let text = seal.map_or(words.to_owned(), |seal| format!("{words} {}", seal.reveal()));
            text.into_bytes().into_boxed_slice()
        };
        Self { begin: mark(BEGIN), end: mark(END) }
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Marks")
    }
}

/// The verdict blocks of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// How many complete blocks there are.
    pub count: usize,
    /// What the first one holds, between its two lines.
    pub first: Option<Block>,
    /// Whether, after the last complete block, there is a first line without a last line.
    pub open: bool,
}

/// What a block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// All of it.
    Whole(Vec<u8>),
    /// More than is kept.
    TooLong,
}

/// A search that is under way.
///
/// It finds what the original's expression finds, `-+BEGIN…-+\n` up to the nearest `\n-+END…-+`, and
/// moreover takes CRLF at the end of the first line. A first line ended by CRLF is forgotten where one
/// ended by LF follows before any last line: the original sees the second one only.
#[derive(Clone, Debug)]
pub struct Scanner {
    limit: usize,
    marks: Marks,
    blocks: Blocks,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Looking for a first line.
    Outside(Begin),
    /// In a block, looking for its last line.
    Inside { content: Content, end: End, first_line: FirstLine },
    /// In the dashes that end a last line: none of them can begin another block.
    Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstLine {
    /// Ended by LF: whatever follows belongs to the block.
    Lf,
    /// Ended by CRLF: another first line, ended by LF, takes its place.
    CrLf(Begin),
}

/// How much of a first line was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Nothing,
    Dashes,
    Word(usize),
    DashesAfter,
    Cr,
    Complete { crlf: bool },
}

/// How much of a last line was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Nothing,
    LineStart,
    Dashes,
    Word(usize),
    Complete,
}

/// The bytes of the block being read, up to the limit.
#[derive(Clone, Debug, Default)]
struct Content {
    kept: Vec<u8>,
    length: usize,
    /// Where the line break stands that may belong to the last line.
    last_break: usize,
}

impl Begin {
    fn next(self, byte: u8, mark: &[u8]) -> Self {
        match (self, byte) {
            (Self::DashesAfter, b'\n') => Self::Complete { crlf: false },
            (Self::Cr, b'\n') => Self::Complete { crlf: true },
            (Self::DashesAfter, b'\r') => Self::Cr,
            (Self::DashesAfter, b'-') => Self::DashesAfter,
            (Self::Word(seen), b'-') if seen == mark.len() => Self::DashesAfter,
            (Self::Word(seen), _) if mark.get(seen) == Some(&byte) => Self::Word(seen + 1),
            (Self::Dashes | Self::DashesAfter, _) if mark.first() == Some(&byte) => Self::Word(1),
            (_, b'-') => Self::Dashes,
            _ => Self::Nothing,
        }
    }
}

impl End {
    fn next(self, byte: u8, mark: &[u8]) -> Self {
        match (self, byte) {
            (_, b'\n') => Self::LineStart,
            (Self::LineStart | Self::Dashes, b'-') => Self::Dashes,
            (Self::Dashes, _) if mark.first() == Some(&byte) => Self::Word(1),
            (Self::Word(seen), b'-') if seen == mark.len() => Self::Complete,
            (Self::Word(seen), _) if mark.get(seen) == Some(&byte) => Self::Word(seen + 1),
            _ => Self::Nothing,
        }
    }
}

impl Content {
    fn push(&mut self, bytes: &[u8], limit: usize) {
        self.length = self.length.saturating_add(bytes.len());
        let room = limit.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
    }

    fn finish(mut self) -> Block {
        if self.last_break > self.kept.len() {
            return Block::TooLong;
        }
        self.kept.truncate(self.last_break);
        Block::Whole(self.kept)
    }
}

impl Scanner {
    /// A search that keeps at most `limit` bytes of a block. Where there is a secret, only lines with it count.
    #[must_use]
    pub fn new(limit: usize, seal: Option<&Seal>) -> Self {
        let state = State::Outside(Begin::Nothing);
        Self { limit, marks: Marks::of(seal), blocks: Blocks::default(), state }
    }

    /// The blocks of a text that is at hand.
    #[must_use]
    pub fn scan(text: &[u8], seal: Option<&Seal>) -> Blocks {
        let mut scanner = Self::new(text.len(), seal);
        scanner.push(text);
        scanner.finish()
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            let skipped = self.skip(bytes);
            if skipped > 0 {
                bytes = &bytes[skipped..];
                continue;
            }
            self.step(byte);
            bytes = rest;
        }
    }

    /// The text has ended.
    #[must_use]
    pub fn finish(mut self) -> Blocks {
        self.blocks.open = matches!(self.state, State::Inside { .. });
        self.blocks
    }

    /// Passes over bytes that cannot matter, and tells how many.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        let until = |wanted: u8| bytes.iter().position(|&byte| byte == wanted).unwrap_or(bytes.len());
        match &mut self.state {
            State::Outside(Begin::Nothing) => until(b'-'),
            State::Inside { content, end: End::Nothing, first_line: FirstLine::Lf } => {
                let length = until(b'\n');
                if self.blocks.first.is_none() {
                    content.push(&bytes[..length], self.limit);
                }
                length
            }
            _ => 0,
        }
    }

    fn step(&mut self, byte: u8) {
        match &mut self.state {
            State::Outside(begin) => {
                *begin = begin.next(byte, &self.marks.begin);
                if let Begin::Complete { crlf } = *begin {
                    self.open(crlf);
                }
            }
            State::Inside { content, end, first_line } => {
                if byte == b'\n' {
                    content.last_break = content.length;
                }
                if self.blocks.first.is_none() {
                    content.push(&[byte], self.limit);
                }
                *end = end.next(byte, &self.marks.end);
                if *end == End::Complete {
                    let content = std::mem::take(content);
                    self.blocks.count += 1;
                    self.blocks.first.get_or_insert_with(|| content.finish());
                    self.state = State::Closing;
                } else if let FirstLine::CrLf(begin) = first_line {
                    *begin = begin.next(byte, &self.marks.begin);
                    match *begin {
                        Begin::Complete { crlf: false } => self.open(false),
                        Begin::Complete { crlf: true } => *begin = Begin::Nothing,
                        _ => {}
                    }
                }
            }
            State::Closing if byte == b'-' => {}
            State::Closing => self.state = State::Outside(Begin::Nothing),
        }
    }

    /// A first line is complete. Its own line break cannot belong to a last line.
    fn open(&mut self, crlf: bool) {
        let first_line = if crlf { FirstLine::CrLf(Begin::Nothing) } else { FirstLine::Lf };
        self.state = State::Inside { content: Content::default(), end: End::Nothing, first_line };
    }
}

#[cfg(test)]
mod tests;
