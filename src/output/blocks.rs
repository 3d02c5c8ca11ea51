//! Finds verdict blocks in bytes that come in any chunks, without keeping what stands around them.

/// What stands between the dashes of a block's first line.
const BEGIN: &[u8] = b"BEGIN CORRECTOMATIC RESPONSE";
/// What stands between the dashes of a block's last line.
const END: &[u8] = b"END CORRECTOMATIC RESPONSE";

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
    fn next(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::DashesAfter, b'\n') => Self::Complete { crlf: false },
            (Self::Cr, b'\n') => Self::Complete { crlf: true },
            (Self::DashesAfter, b'\r') => Self::Cr,
            (Self::DashesAfter, b'-') => Self::DashesAfter,
            (Self::Word(seen), b'-') if seen == BEGIN.len() => Self::DashesAfter,
            (Self::Word(seen), _) if BEGIN.get(seen) == Some(&byte) => Self::Word(seen + 1),
            (Self::Dashes | Self::DashesAfter, _) if byte == BEGIN[0] => Self::Word(1),
            (_, b'-') => Self::Dashes,
            _ => Self::Nothing,
        }
    }
}

impl End {
    fn next(self, byte: u8) -> Self {
        match (self, byte) {
            (_, b'\n') => Self::LineStart,
            (Self::LineStart | Self::Dashes, b'-') => Self::Dashes,
            (Self::Dashes, _) if byte == END[0] => Self::Word(1),
            (Self::Word(seen), b'-') if seen == END.len() => Self::Complete,
            (Self::Word(seen), _) if END.get(seen) == Some(&byte) => Self::Word(seen + 1),
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
    /// A search that keeps at most `limit` bytes of a block.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, blocks: Blocks::default(), state: State::Outside(Begin::Nothing) }
    }

    /// The blocks of a text that is at hand.
    #[must_use]
    pub fn scan(text: &[u8]) -> Blocks {
        let mut scanner = Self::new(text.len());
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
                *begin = begin.next(byte);
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
                *end = end.next(byte);
                if *end == End::Complete {
                    let content = std::mem::take(content);
                    self.blocks.count += 1;
                    self.blocks.first.get_or_insert_with(|| content.finish());
                    self.state = State::Closing;
                } else if let FirstLine::CrLf(begin) = first_line {
                    *begin = begin.next(byte);
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGINAL: &str =
        "(?-u)-+BEGIN CORRECTOMATIC RESPONSE-+\n((?s:.)*?)\n-+END CORRECTOMATIC RESPONSE-+";

    fn contents(text: &[u8]) -> (usize, Option<Vec<u8>>) {
        let blocks = Scanner::scan(text);
        let first = blocks.first.map(|block| match block {
            Block::Whole(content) => content,
            Block::TooLong => unreachable!("the limit is the text's length"),
        });
        (blocks.count, first)
    }

    fn first(text: &str) -> Option<String> {
        contents(text.as_bytes()).1.map(|content| String::from_utf8(content).expect("ASCII"))
    }

    #[test]
    fn a_block_is_found_whatever_stands_around_it() {
        let block = "-BEGIN CORRECTOMATIC RESPONSE-\n{}\n-END CORRECTOMATIC RESPONSE-";
        for text in [block.to_owned(), format!("a\n text -{block}- more\n"), format!("--B-BEGIN {block}")] {
            assert_eq!(first(&text).as_deref(), Some("{}"), "{text}");
        }
    }

    #[test]
    fn what_only_resembles_a_block_is_none() {
        for text in [
            "BEGIN CORRECTOMATIC RESPONSE-\n{}\n-END CORRECTOMATIC RESPONSE-",
            "-BEGIN CORRECTOMATIC RESPONSE\n{}\n-END CORRECTOMATIC RESPONSE-",
            "-BEGIN CORRECTOMATIC RESPONSE- \n{}\n-END CORRECTOMATIC RESPONSE-",
            "-BEGIN CORRECTOMATIC RESPONSE-\n{}\n -END CORRECTOMATIC RESPONSE-",
            "-BEGIN CORRECTOMATIC RESPONSE-\n{}-END CORRECTOMATIC RESPONSE-",
            "-BEGIN CORRECTOMATIC RESPONSE-\n{}\n-END CORRECTOMATIC RESPONSE",
            "-BEGIN CORRECTOMATIC RESPONSE-\n-END CORRECTOMATIC RESPONSE-",
        ] {
            assert_eq!(contents(text.as_bytes()).0, 0, "{text}");
        }
        assert!(Scanner::scan(b"-BEGIN CORRECTOMATIC RESPONSE-\n{}").open);
    }

    #[test]
    fn crlf_ends_a_first_line_too_unless_one_that_lf_ends_follows() {
        let text = "-BEGIN CORRECTOMATIC RESPONSE-\r\n{}\r\n-END CORRECTOMATIC RESPONSE-\r\n";
        assert_eq!(first(text).as_deref(), Some("{}\r"));
        let stray = "-BEGIN CORRECTOMATIC RESPONSE-\r\nx\n-BEGIN CORRECTOMATIC RESPONSE-\n{}\n\
                     -END CORRECTOMATIC RESPONSE-";
        assert_eq!(first(stray).as_deref(), Some("{}"));
    }

    #[test]
    fn a_block_longer_than_the_limit_is_counted_and_not_kept() {
        let mut scanner = Scanner::new(4);
        scanner.push(b"-BEGIN CORRECTOMATIC RESPONSE-\n12345\n-END CORRECTOMATIC RESPONSE-\n");
        let blocks = scanner.finish();
        assert_eq!((blocks.count, blocks.first), (1, Some(Block::TooLong)));
    }

    fn soup() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "-",
            "--",
            "\n",
            "\r",
            "\r\n",
            "B",
            "E",
            "{}",
            " ",
            "BEGIN CORRECTOMATIC RESPONSE",
            "END CORRECTOMATIC RESPONSE",
            "-BEGIN CORRECTOMATIC RESPONSE-\n",
            "\n-END CORRECTOMATIC RESPONSE-",
            "BEGIN CORRECTOMATIC RESPON",
            "\u{e9}",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn without_crlf_it_finds_what_the_originals_expression_finds(mut text in soup()) {
            text.retain(|&byte| byte != b'\r');
            let expression = regex::bytes::Regex::new(ORIGINAL).expect("an expression");
            let expected: Vec<_> = expression.captures_iter(&text).map(|found| found[1].to_vec()).collect();
            prop_assert_eq!(contents(&text), (expected.len(), expected.first().cloned()));
        }

        #[test]
        fn chunks_make_no_difference(text in soup(), size in 1_usize..9, limit in 0_usize..20) {
            let mut whole = Scanner::new(limit);
            whole.push(&text);
            let mut chunked = Scanner::new(limit);
            text.chunks(size).for_each(|chunk| chunked.push(chunk));
            prop_assert_eq!(chunked.finish(), whole.finish());
        }
    }
}
