//! Lines out of a stream of bytes, of bounded length.

/// The longest line: an event holds its container's labels, and those hold a job.
const LONGEST: usize = 1 << 20;

/// A line is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {LONGEST} bytes")]
pub(super) struct TooLong;

/// The bytes that came and are not read yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the unread begins, and up to where there is no line's end.
    start: usize,
    searched: usize,
}

impl Lines {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line that is not empty, without its end.
    pub(super) fn next_line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        while let Some(end) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
            let end = self.searched + end;
            let line = self.bytes[self.start..end].trim_ascii();
            if line.len() > LONGEST {
                return Err(TooLong);
            }
            let line = line.to_vec();
            (self.start, self.searched) = (end + 1, end + 1);
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
        self.searched = self.bytes.len();
        if self.searched - self.start > LONGEST { Err(TooLong) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Result<Vec<String>, TooLong> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece);
            while let Some(line) = lines.next_line()? {
                found.push(String::from_utf8_lossy(&line).into_owned());
            }
        }
        Ok(found)
    }

    #[test]
    fn lines_come_out_whole_wherever_the_bytes_are_split() {
        let text = b"one\r\n\n two \nthree";
        for split in 0..=text.len() {
            let (head, tail) = text.split_at(split);
            assert_eq!(all(&[head, tail]), Ok(vec!["one".to_owned(), "two".into()]), "{split}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        assert_eq!(all(&[&vec![b'x'; LONGEST], b"x"]), Err(TooLong));
        assert_eq!(all(&[&vec![b'x'; LONGEST], b"x\n"]), Err(TooLong));
        assert_eq!(all(&[&vec![b'x'; LONGEST], b"\n"]).map(|lines| lines.len()), Ok(1));
    }
}
