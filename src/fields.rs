//! A JSON object whose values keep their text: what a stranger wrote is handed on as it was written.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// The fields of a JSON object in their order, each value as the text that stood there.
///
/// Numbers keep their digits and strings their escapes. Where a key stands twice the last one
/// counts, as in JavaScript.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// Reads the text of a JSON object.
    ///
    /// # Errors
    /// The text is not JSON, or not an object.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The value of a field as its text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Takes a field out.
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    /// Sets a field, in place where it stands already, else at the end.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), &**value))
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.iter().zip(other.iter()).all(|(a, b)| a.0 == b.0 && a.1.get() == b.1.get())
    }
}

impl fmt::Display for Fields {
    /// The object as JSON text.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if let Some(&place) = places.get(&key) {
                        fields[place].1 = value;
                    } else {
                        places.insert(key.clone(), fields.len());
                        fields.push((key, value));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The JSON text of any serialisable value of ours that cannot fail to serialise.
///
/// # Panics
/// Never: strings, numbers, booleans and lists of them always have a JSON text.
#[must_use]
pub fn raw(value: &(impl Serialize + ?Sized)) -> Box<RawValue> {
    serde_json::value::to_raw_value(value)
        .unwrap_or_else(|error| unreachable!("own value has no JSON text: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_the_text_that_stood_there() {
        let text = r#"{"a":7.980,"b":12345678901234567890123,"c":"\u00e9","d":null,"e":{"f":[1e5]}}"#;
        assert_eq!(Fields::parse(text).expect("an object").to_string(), text);
    }

    #[test]
    fn of_two_equal_keys_the_last_counts() {
        let fields = Fields::parse(r#"{"a":1,"b":2,"a":3}"#).expect("an object");
        assert_eq!(fields.to_string(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        for text in ["[]", "1", "null", "\"x\"", "", "{", "{\"a\":}"] {
            assert!(Fields::parse(text).is_err(), "{text}");
        }
    }
}
