//! Takes a JSON array apart into its elements as its bytes arrive, so that it is never held whole.

/// Why a text is no array of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoArray {
    /// Something else than an array.
    #[error("it is no JSON array")]
    NotAnArray,
    /// An element longer than this many bytes.
    #[error("an element is longer than {LONGEST} bytes")]
    TooLong,
}

/// The longest element: far more than the engine says about one container.
const LONGEST: usize = 4 << 20;

/// Where in the array we are.
#[derive(Debug, Default)]
pub(super) struct Elements {
    depth: u32,
    in_text: bool,
    escaped: bool,
    ended: bool,
    element: Vec<u8>,
}

impl Elements {
    /// Takes the next bytes; gives each element (an object or array) that they complete to `each`.
    pub(super) fn push<E: From<NoArray>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for &byte in bytes {
            if self.depth >= 2 {
                if self.element.len() == LONGEST {
                    return Err(NoArray::TooLong.into());
                }
                self.element.push(byte);
            }
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'[' if self.depth == 0 && !self.ended => self.depth = 1,
                b'{' | b'[' if self.depth > 0 => {
                    self.depth = self.depth.saturating_add(1);
                    if self.depth == 2 {
                        self.element.push(byte);
                    }
                }
                b'}' | b']' if self.depth > 1 => {
                    self.depth -= 1;
                    if self.depth == 1 {
                        each(&self.element)?;
                        self.element.clear();
                    }
                }
                b']' if self.depth == 1 => (self.depth, self.ended) = (0, true),
                b'"' if self.depth >= 2 => self.in_text = true,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b',' if self.depth == 1 => {}
                _ if self.depth < 2 => return Err(NoArray::NotAnArray.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the array was complete.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken_apart(pieces: &[&[u8]]) -> Result<(Vec<String>, bool), NoArray> {
        let (mut found, mut elements) = (Vec::new(), Elements::default());
        for piece in pieces {
            elements.push(piece, |element| {
                found.push(String::from_utf8_lossy(element).into_owned());
                Ok::<_, NoArray>(())
            })?;
        }
        Ok((found, elements.ended()))
    }

    #[test]
    fn elements_come_out_whole_wherever_the_bytes_are_split() {
        let text = r#" [{"a":"]}\"{[\\"}, {"b":[1,{"c":null}]} ,[]] "#.as_bytes();
        let expected = vec![r#"{"a":"]}\"{[\\"}"#.to_owned(), r#"{"b":[1,{"c":null}]}"#.into(), "[]".into()];
        for split in 0..=text.len() {
            let (head, tail) = text.split_at(split);
            assert_eq!(taken_apart(&[head, tail]), Ok((expected.clone(), true)), "{split}");
        }
    }

    #[test]
    fn what_is_no_array_is_refused_and_half_an_array_is_not_complete() {
        for text in ["{}", "null", "1", "\"[\"", "[1]", "[] []", "x[]"] {
            assert_eq!(taken_apart(&[text.as_bytes()]), Err(NoArray::NotAnArray), "{text}");
        }
        assert_eq!(taken_apart(&[b"[]"]), Ok((vec![], true)));
        assert_eq!(taken_apart(&[b"[{}"]), Ok((vec!["{}".to_owned()], false)));
        assert_eq!(taken_apart(&[b""]), Ok((vec![], false)));
    }

    #[test]
    fn an_endless_element_is_refused() {
        let text = [b"[{\"a\":\"".as_slice(), &vec![b'x'; LONGEST]];
        assert_eq!(taken_apart(&text), Err(NoArray::TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(pieces: Vec<Vec<u8>>, text in r#"[\[\]{}",\\ a]{0,60}"#) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let _ = taken_apart(&pieces);
            let _ = taken_apart(&[text.as_bytes()]);
        }

        #[test]
        fn every_array_of_objects_comes_back(texts in prop::collection::vec(".{0,20}", 0..8)) {
            let values: Vec<_> = texts.iter().map(|text| serde_json::json!({ text.as_str(): [text] })).collect();
            let (found, ended) = taken_apart(&[serde_json::to_string(&values).unwrap().as_bytes()]).unwrap();
            let found: Vec<serde_json::Value> =
                found.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert!(ended);
            prop_assert_eq!(found, values);
        }
    }
}
