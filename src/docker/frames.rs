//! Takes the engine's stream of a container's output apart into stdout and stderr.
//!
//! Each frame has a header of eight bytes: the stream's number, three zeros, the payload's length. A
//! container with a terminal has no frames: its bytes come as they are.

use crate::output::Capture;

/// Whoever takes the two streams.
pub(super) trait Streams {
    /// Takes the next bytes of the standard output.
    fn stdout(&mut self, bytes: &[u8]);
    /// Takes the next bytes of the standard error.
    fn stderr(&mut self, bytes: &[u8]);
}

impl Streams for Capture {
    fn stdout(&mut self, bytes: &[u8]) {
        Self::stdout(self, bytes);
    }

    fn stderr(&mut self, bytes: &[u8]) {
        Self::stderr(self, bytes);
    }
}

const HEADER: usize = 8;

/// Where in the stream we are.
#[derive(Debug)]
pub(super) enum Frames {
    /// In a header, of which so many bytes are there.
    Header { bytes: [u8; HEADER], filled: usize },
    /// In a payload, of which so many bytes are to come.
    Payload { stream: Stream, left: u32 },
    /// No frames.
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
    /// The engine's own words, where it could not read the log.
    Engine,
}

impl Frames {
    /// At the start of a stream.
    pub(super) fn new() -> Self {
        Self::Header { bytes: [0; HEADER], filled: 0 }
    }

    /// Takes the next bytes, split wherever they were split on their way.
    pub(super) fn push(&mut self, mut bytes: &[u8], capture: &mut impl Streams) {
        while let Some(&first) = bytes.first() {
            match self {
                Self::Header { bytes: header, filled } => {
                    header[*filled] = first;
                    *filled += 1;
                    bytes = &bytes[1..];
                    if !could_be_header(&header[..*filled]) {
                        capture.stdout(&header[..*filled]);
                        *self = Self::Raw;
                    } else if *filled == HEADER {
                        *self = Self::after(*header);
                    }
                }
                Self::Payload { stream, left } => {
                    let length = bytes.len().min(*left as usize);
                    let (payload, rest) = bytes.split_at(length);
                    match stream {
                        Stream::Stdout => capture.stdout(payload),
                        Stream::Stderr => capture.stderr(payload),
                        Stream::Engine => {
                            let words = String::from_utf8_lossy(payload);
                            tracing::warn!(%words, "the engine cannot read all of a container's log");
                        }
                    }
                    *left -= u32::try_from(length).unwrap_or(*left);
                    bytes = rest;
                    if *left == 0 {
                        *self = Self::new();
                    }
                }
                Self::Raw => {
                    capture.stdout(bytes);
                    return;
                }
            }
        }
    }

    fn after(header: [u8; HEADER]) -> Self {
        let [stream, _, _, _, a, b, c, d] = header;
        let stream = match stream {
            2 => Stream::Stderr,
            3 => Stream::Engine,
            _ => Stream::Stdout,
        };
        match u32::from_be_bytes([a, b, c, d]) {
            0 => Self::new(),
            left => Self::Payload { stream, left },
        }
    }
}

fn could_be_header(start: &[u8]) -> bool {
    start.first().is_none_or(|stream| *stream <= 3) && start.iter().skip(1).take(3).all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], length.as_slice(), payload].concat()
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let (mut frames, mut capture) = (Frames::new(), Capture::new(1 << 20));
        for piece in pieces {
            frames.push(piece, &mut capture);
        }
        format!("{:?}", capture.finish())
    }

    fn captured(stdout: &[u8], stderr: &[u8]) -> String {
        let mut capture = Capture::new(1 << 20);
        capture.stdout(stdout);
        capture.stderr(stderr);
        format!("{:?}", capture.finish())
    }

    #[test]
    fn the_engines_own_words_are_not_the_containers_output() {
        let bytes = [frame(1, b"out"), frame(3, b"error from daemon in stream"), frame(2, b"err")].concat();
        assert_eq!(read([bytes.as_slice()]), captured(b"out", b"err"));
    }

    proptest! {
        #[test]
        fn both_streams_come_out_whole_wherever_the_bytes_are_split(
            payloads in prop::collection::vec((1_u8..=2, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
            size in 1_usize..30,
        ) {
            let bytes: Vec<u8> =
                payloads.iter().flat_map(|(stream, payload)| frame(*stream, payload)).collect();
            let all = |wanted: u8| -> Vec<u8> {
                let of_it = payloads.iter().filter(|(stream, _)| *stream == wanted);
                of_it.flat_map(|(_, payload)| payload.clone()).collect()
            };
            prop_assert_eq!(read(bytes.chunks(size)), captured(&all(1), &all(2)));
        }

        #[test]
        fn a_terminals_bytes_are_stdout(text in "[a-zA-Zñ{\\[\"\r\n][ -~\r\nñ]{0,100}", size in 1_usize..30) {
            prop_assert_eq!(read(text.as_bytes().chunks(size)), captured(text.as_bytes(), b""));
        }

        #[test]
        fn no_bytes_make_it_panic(pieces: Vec<Vec<u8>>) {
            read(pieces.iter().map(Vec::as_slice));
        }
    }
}
