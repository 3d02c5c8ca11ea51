//! Takes a JSON array apart into its elements as its bytes arrive, so that it is never held whole.

/// A text is no array of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON array")]
pub(super) struct NotAnArray;

/// The longest element: far more than the engine says about one container.
pub(super) const LONGEST: usize = 4 << 20;

/// An element of the array (an object or array).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element<'a> {
    Whole(&'a [u8]),
    /// One of more than [`LONGEST`] bytes, of which this is the beginning.
    TooLong(&'a [u8]),
}

/// Where in the array we are.
#[derive(Debug, Default)]
pub(super) struct Elements {
    depth: u32,
    in_text: bool,
    escaped: bool,
    ended: bool,
    /// What came of the element, up to one byte more than is allowed.
    element: Vec<u8>,
}

impl Elements {
    /// Takes the next bytes; gives each element that they complete to `each`.
    pub(super) fn push<E: From<NotAnArray>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Element<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for &byte in bytes {
            if self.depth >= 2 && self.element.len() <= LONGEST {
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
                        each(match self.element.get(..LONGEST) {
                            Some(beginning) if self.element.len() > LONGEST => Element::TooLong(beginning),
                            _ => Element::Whole(&self.element),
                        })?;
                        self.element.clear();
                    }
                }
                b']' if self.depth == 1 => (self.depth, self.ended) = (0, true),
                b'"' if self.depth >= 2 => self.in_text = true,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b',' if self.depth == 1 => {}
                _ if self.depth < 2 => return Err(NotAnArray.into()),
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

    fn taken_apart(pieces: &[&[u8]]) -> Result<(Vec<String>, bool), NotAnArray> {
        let (mut found, mut elements) = (Vec::new(), Elements::default());
        for piece in pieces {
            elements.push(piece, |element| {
                found.push(match element {
                    Element::Whole(text) => String::from_utf8_lossy(text).into_owned(),
                    Element::TooLong(beginning) => format!("more than {}", beginning.len()),
                });
                Ok::<_, NotAnArray>(())
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
            assert_eq!(taken_apart(&[text.as_bytes()]), Err(NotAnArray), "{text}");
        }
        assert_eq!(taken_apart(&[b"[]"]), Ok((vec![], true)));
        assert_eq!(taken_apart(&[b"[{}"]), Ok((vec!["{}".to_owned()], false)));
        assert_eq!(taken_apart(&[b""]), Ok((vec![], false)));
    }

    #[test]
    fn an_element_that_is_too_long_is_passed_over_and_those_around_it_are_told() {
        let of = |length: usize| [b"{\"a\":\"", vec![b'x'; length - 8].as_slice(), b"\"}"].concat();
        let (longest, longer) = (of(LONGEST), of(LONGEST + 1));
        let text = [b"[{},", longer.as_slice(), b",[1],", &longest, b"]"].concat();
        for size in [text.len(), LONGEST, 1000] {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            let (found, ended) = taken_apart(&pieces).unwrap();
            let expected = ["{}", &format!("more than {LONGEST}"), "[1]", str::from_utf8(&longest).unwrap()];
            assert!(found == expected && ended, "{size}");
        }
    }

    #[test]
    fn an_element_without_end_is_no_complete_array_and_fills_no_memory() {
        let mut elements = Elements::default();
        for piece in [b"[{\"a\":\"".as_slice(), &vec![b'x'; 3 * LONGEST]] {
            elements.push(piece, |element| panic!("{element:?}") as Result<(), NotAnArray>).unwrap();
        }
        assert!(!elements.ended() && elements.element.capacity() <= 2 * LONGEST);
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
