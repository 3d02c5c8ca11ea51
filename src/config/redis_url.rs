//! `REDIS_URL`: `redis://user:password@host:port/database`, or `rediss://` for an encrypted connection.

use percent_encoding::percent_decode_str;
use url::Url;

use super::docker_options::{is_host, without_brackets};

/// The largest number of a database that Redis can be configured for.
pub(super) const LAST_DATABASE: u32 = i32::MAX as u32;

/// The parts of the URL.
#[derive(PartialEq, Eq)]
pub(super) struct RedisUrl {
    pub host: String,
    pub port: Option<u16>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub database: Option<u32>,
    pub tls: bool,
}

/// Reads the URL; the error says what is wrong and shows nothing of it.
pub(super) fn parse(text: &str) -> Result<RedisUrl, String> {
    let url = Url::parse(text.trim()).map_err(|error| {
        format!("no valid URL ({error}); special characters in a user or password must be percent-encoded")
    })?;
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => return Err("it must begin with redis:// or rediss://".into()),
    };
    let host = decoded(url.host_str().unwrap_or_default(), "host")?;
    let host = without_brackets(&host);
    if !is_host(&host) {
        return Err("there is no valid host in it".into());
    }
    if url.port() == Some(0) {
        return Err("the port must be from 1 to 65535".into());
    }
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(RedisUrl {
        host,
        port: url.port(),
        username: some(decoded(url.username(), "user")?),
        password: some(decoded(url.password().unwrap_or_default(), "password")?),
        database: database(&url)?,
        tls,
    })
}

fn decoded(part: &str, name: &str) -> Result<String, String> {
    let text = percent_decode_str(part).decode_utf8();
    text.map(String::from).map_err(|_| format!("the {name} in it is not valid UTF-8 once it is decoded"))
}

/// The number after the host, or in `?db=`.
fn database(url: &Url) -> Result<Option<u32>, String> {
    let path = url.path().trim_start_matches('/').to_owned();
    let query = url.query_pairs().find(|(name, _)| name == "db").map(|(_, value)| value.into_owned());
    let Some(text) = Some(path).filter(|path| !path.is_empty()).or(query) else { return Ok(None) };
    match text.parse::<u32>() {
        Ok(number) if number <= LAST_DATABASE => Ok(Some(number)),
        _ => Err("what follows the host must be the number of a database".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> String {
        let url = parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        let RedisUrl { host, port, username, password, database, tls } = url;
        format!("{host} {port:?} {username:?} {password:?} {database:?} {tls}")
    }

    #[test]
    fn every_part_is_read_and_decoded() {
        assert_eq!(all("redis://h"), "h None None None None false");
        assert_eq!(
            all("rediss://u%40x:p%3A%2F%23%25@h.example:99/3"),
            r#"h.example Some(99) Some("u@x") Some("p:/#%") Some(3) true"#
        );
        assert_eq!(all("redis://:secret@[::1]:1/"), r#"::1 Some(1) None Some("secret") None false"#);
        assert_eq!(all("redis://h?db=4"), "h None None None Some(4) false");
    }

    #[test]
    fn anything_else_is_refused_without_being_shown() {
        for text in [
            "canary",
            "http://canary",
            "redis://",
            "redis:///1",
            "redis://:canary@",
            "redis://h:canary",
            "redis://h:99999",
            "redis://h:0",
            "redis://h/canary",
            "redis://h/-1",
            "redis://h/2147483648",
            "redis://h?db=canary",
            "redis://u:canary%ff@h",
            "redis://can ary",
        ] {
            let problem = parse(text).err().unwrap_or_else(|| panic!("{text} was read"));
            assert!(!problem.contains("canary"), "{text}: {problem}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(rediss?://)?.{0,20}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_password_survives_being_encoded(password in ".{1,20}") {
            let encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
            let url = parse(&format!("redis://:{encoded}@h")).map_err(TestCaseError::fail)?;
            prop_assert_eq!(url.password, Some(password));
        }
    }
}
