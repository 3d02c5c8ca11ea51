//! Paths, queries and filters of the simulated engine's calls.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

/// A call's query.
pub struct Query(HashMap<String, String>);

impl Query {
    /// Reads what stands behind the `?`.
    pub fn parse(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        if text.is_empty() {
            return Self(HashMap::new());
        }
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// A parameter's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that is true, as Docker reads it: anything but these words and nothing.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| {
            !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    /// A time: seconds with up to nine decimals, as nanoseconds.
    pub fn time(&self, name: &str) -> Result<Option<i128>, String> {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let number = |text: &str| {
            text.parse::<i128>().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        };
        let padded = format!("{fraction:0<9}");
        Ok(Some(number(seconds)? * 1_000_000_000 + number(padded.get(..9).unwrap_or("0"))?))
    }

    /// The filters, in either of Docker's spellings.
    pub fn filters(&self) -> Result<Filters, String> {
        let Some(text) = self.text("filters").filter(|text| !text.is_empty()) else {
            return Ok(Filters::default());
        };
        let spelled: HashMap<String, Spelling> =
            serde_json::from_str(text).map_err(|_| "invalid filter".to_owned())?;
        let listed = spelled.into_iter().map(|(key, values)| match values {
            Spelling::List(values) => (key, values),
            Spelling::Map(values) => {
                (key, values.into_iter().filter(|(_, on)| *on).map(|(v, _)| v).collect())
            }
        });
        Ok(Filters(listed.collect()))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelling {
    List(Vec<String>),
    Map(BTreeMap<String, bool>),
}

/// Docker's filters: values of one key are alternatives, except labels, which must all be there.
#[derive(Debug, Default)]
pub struct Filters(HashMap<String, Vec<String>>);

impl Filters {
    /// Whether one of the key's values matches, or it has none.
    pub fn allows(&self, key: &str, matches: impl Fn(&str) -> bool) -> bool {
        self.0.get(key).is_none_or(|values| values.is_empty() || values.iter().any(|value| matches(value)))
    }

    /// Whether all labels asked for are there.
    pub fn allows_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.get("label").is_none_or(|wanted| {
            wanted.iter().all(|label| match label.split_once('=') {
                Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
                None => labels.contains_key(label),
            })
        })
    }

    /// Whether a key is filtered on at all.
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|values| !values.is_empty())
    }
}

/// Undoes percent-encoding of a path's part.
pub fn decoded(part: &str) -> String {
    if !part.contains('%') {
        return part.to_owned();
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
            let code = std::str::from_utf8(&digits).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
            bytes.push(code.unwrap_or(b'?'));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
