//! What a grader wrote, bounded: head and tail of each stream, and the verdict block wherever it stood.

/// Gathers what a container wrote, in any chunks, without ever holding much more than its limit.
///
/// The result depends on the bytes of each stream only, never on how they were cut into chunks.
#[derive(Debug)]
pub struct Capture {
    limit: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// What a container wrote, as far as it was kept.
#[derive(Clone, Debug)]
pub struct Output {
    limit: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Capture {
    /// Keeps at most `limit` bytes of both streams together, and a verdict block of at most as many
    /// of each stream.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Takes the next bytes of the standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.extend_from_slice(bytes);
    }

    /// Takes the next bytes of the standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
    }

    /// The streams have ended.
    #[must_use]
    pub fn finish(self) -> Output {
        Output { limit: self.limit, stdout: self.stdout, stderr: self.stderr }
    }
}

impl Output {
    /// An output that was not cut.
    #[must_use]
    pub fn whole(stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Self {
        Self { limit: usize::MAX, stdout: stdout.into(), stderr: stderr.into() }
    }

    /// How many bytes the container wrote in all, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        (self.stdout.len() + self.stderr.len()) as u64
    }

    /// How many bytes are kept at most.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit as u64
    }

    /// Whether bytes were left out.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.total() > self.limit()
    }
}
