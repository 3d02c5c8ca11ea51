//! Lines out of a stream of bytes, of bounded length.

/// The longest line: an event holds its container's labels, and those hold a job.
pub(super) const LONGEST: usize = 1 << 20;

/// A line was too long: it is dropped, and those after it can be read.
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
    /// Whether what comes belongs to a line that was too long, up to its end.
    dropping: bool,
}

impl Lines {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        if self.dropping {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
            self.dropping = false;
            bytes = &bytes[end + 1..];
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line that is not empty, without its end.
    ///
    /// # Errors
    /// `TooLong`, once for each such line and as soon as that is known.
    pub(super) fn next_line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        while let Some(end) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
            let end = self.searched + end;
            let begin = std::mem::replace(&mut self.start, end + 1);
            self.searched = end + 1;
            let line = self.bytes[begin..end].trim_ascii();
            if line.len() > LONGEST {
                return Err(TooLong);
            }
            if !line.is_empty() {
                return Ok(Some(line.to_vec()));
            }
        }
        self.searched = self.bytes.len();
        if self.searched - self.start > LONGEST {
            self.bytes.clear();
            (self.start, self.searched, self.dropping) = (0, 0, true);
            return Err(TooLong);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines; one that was too long is `-`.
    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece);
            while let Some(line) = lines.next_line().transpose() {
                found.push(line.map_or("-".into(), |line| String::from_utf8_lossy(&line).into_owned()));
            }
        }
        found
    }

    #[test]
    fn lines_come_out_whole_wherever_the_bytes_are_split() {
        let text = b"one\r\n\n two \nthree";
        for split in 0..=text.len() {
            let (head, tail) = text.split_at(split);
            assert_eq!(all(&[head, tail]), ["one", "two"], "{split}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_told_once_and_those_around_it_are_read() {
        let long = vec![b'x'; LONGEST + 1];
        let text = [b"one\n", long.as_slice(), b"\ntwo\n"].concat();
        for size in [text.len(), LONGEST + 5, LONGEST, 1000] {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(all(&pieces), ["one", "-", "two"], "{size}");
        }
        assert_eq!(all(&[&text, &text]), ["one", "-", "two", "one", "-", "two"]);
        assert_eq!(all(&[&long[1..], b"\n"]).concat().len(), LONGEST);
    }

    #[test]
    fn a_line_without_end_is_told_once_and_fills_no_memory() {
        let mut lines = Lines::default();
        let told = (0..LONGEST / 100).filter(|_| {
            lines.push(&[b'x'; 1000]);
            lines.next_line().is_err()
        });
        assert_eq!(told.count(), 1);
        assert!(lines.bytes.capacity() <= 4 * LONGEST, "{}", lines.bytes.capacity());
    }
}
