//! The head and the tail of one stream, within a budget that may shrink.

use std::collections::VecDeque;

/// What is kept of one stream: all of it while it fits its budget, else its first and its last bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The whole stream, or its first bytes.
    head: Vec<u8>,
    /// Its last bytes, once something was left out.
    tail: VecDeque<u8>,
    total: usize,
}

impl Stream {
    /// A stream that fits.
    #[must_use]
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self { total: bytes.len(), head: bytes, tail: VecDeque::new() }
    }

    /// Takes the next bytes, and keeps no more than `budget` of all.
    pub fn push(&mut self, bytes: &[u8], budget: usize) {
        if self.is_whole() && self.total + bytes.len() <= budget {
            self.head.extend_from_slice(bytes);
        } else {
            self.split(budget);
            // What would fall out again at once is not copied: a chunk may be larger than the budget.
            let kept = &bytes[bytes.len() - bytes.len().min(budget)..];
            let missing = (budget / 2).saturating_sub(self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..missing]);
            self.tail.extend(&kept[kept.len() - kept.len().min(bytes.len() - missing)..]);
        }
        self.total += bytes.len();
        self.shrink(budget);
    }

    /// Keeps no more than `budget` bytes from now on.
    pub fn shrink(&mut self, budget: usize) {
        if self.total > budget {
            self.split(budget);
            self.head.truncate(budget / 2);
            let surplus = self.tail.len().saturating_sub(budget - budget / 2);
            self.tail.drain(..surplus);
        }
    }

    /// Moves what is beyond the head's share into the tail.
    fn split(&mut self, budget: usize) {
        if self.is_whole() && self.head.len() > budget / 2 {
            self.tail = self.head.split_off(budget / 2).into();
        }
    }

    /// How many bytes came, kept or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many bytes are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether nothing was left out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.head.len() == self.total
    }

    /// The whole stream, where nothing was left out.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        self.is_whole().then_some(&*self.head)
    }

    /// The last bytes, at most `count`.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<u8> {
        if self.is_whole() {
            return self.head[self.head.len() - count.min(self.head.len())..].to_vec();
        }
        self.tail.iter().skip(self.tail.len() - count.min(self.tail.len())).copied().collect()
    }

    /// The first and the last bytes that are kept, at most `count` together, and how many are missing between them.
    #[must_use]
    pub fn ends(&self, count: usize) -> (Vec<u8>, usize, Vec<u8>) {
        if self.is_whole() && self.total <= count {
            return (self.head.clone(), 0, Vec::new());
        }
        let head = self.head[..self.head.len().min(count / 2)].to_vec();
        let tail = self.last((count - count / 2).min(self.total - head.len()));
        let left_out = self.total - head.len() - tail.len();
        (head, left_out, tail)
    }

    /// The first and the last byte that are no white space; `None` where there is none.
    #[must_use]
    pub fn edges(&self) -> Option<(u8, u8)> {
        let visible = |byte: &&u8| !byte.is_ascii_whitespace();
        let kept = || self.head.iter().chain(&self.tail);
        Some((*kept().find(visible)?, *kept().rfind(visible)?))
    }

    /// Whether what is kept of the beginning or of the end holds these bytes.
    #[must_use]
    pub fn holds(&self, bytes: &[u8]) -> bool {
        let (one, other) = self.tail.as_slices();
        [&*self.head, one, other].iter().any(|part| part.windows(bytes.len()).any(|window| window == bytes))
    }
}
