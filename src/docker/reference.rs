//! Which registry an image comes from, and who we are there.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use hyper::header::HeaderValue;

use crate::config::RegistryLogin;

/// How an image's registry is called where it is not named.
const HUB: &str = "";
/// What Docker Hub is called in its own protocol.
const HUB_ADDRESS: &str = "https://index.docker.io/v1/";

/// An image's name, taken apart the way Docker does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// The registry's domain; empty = Docker Hub.
    pub(super) registry: String,
    /// The name without tag and digest, as it was written.
    pub(super) name: String,
    /// The digest if there is one, else the tag, else `latest`. Never empty: Docker pulls all tags of a
    /// name that comes without one.
    pub(super) version: String,
}

/// Our logins, by the registries' domains. Never printed.
#[derive(Clone)]
pub(super) struct Logins(HashMap<String, RegistryLogin>);

impl Reference {
    pub(super) fn read(image: &str) -> Self {
        let (named, digest) = match image.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (image, None),
        };
        let after_domain = named.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match named[after_domain..].rfind(':') {
            Some(colon) => (&named[..after_domain + colon], Some(&named[after_domain + colon + 1..])),
            None => (named, None),
        };
        let version = digest.or(tag).filter(|version| !version.is_empty()).unwrap_or("latest");
        let registry = match name.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => domain(first),
            _ => HUB.to_owned(),
        };
        Self { registry, name: name.to_owned(), version: version.to_owned() }
    }

    /// The registry's name for people.
    pub(super) fn registry_name(&self) -> &str {
        if self.registry == HUB { "Docker Hub" } else { &self.registry }
    }
}

impl Logins {
    pub(super) fn new(credentials: &HashMap<String, RegistryLogin>) -> Self {
        Self(credentials.iter().map(|(registry, login)| (domain(registry), login.clone())).collect())
    }

    /// The header that tells a registry who we are: only ever what belongs to that registry.
    ///
    /// It is URL-safe base64. (bollard's is not, and Docker reads what it cannot decode as 'nobody'.)
    pub(super) fn header(&self, registry: &str) -> Option<HeaderValue> {
        let login = self.0.get(registry)?;
        let json = serde_json::json!({
            "username": login.username,
            "password": login.password.reveal(),
            "serveraddress": if registry == HUB { HUB_ADDRESS } else { registry },
        });
        let mut value = HeaderValue::from_str(&URL_SAFE.encode(json.to_string())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// A registry's domain from what people write: the domain, an address, or one of Docker Hub's names.
fn domain(written: &str) -> String {
    let bare = written.trim().trim_start_matches("https://").trim_start_matches("http://");
    let domain = bare.split('/').next().unwrap_or_default().to_lowercase();
    match domain.as_str() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" | "hub.docker.com" => HUB.to_owned(),
        _ => domain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn login(username: &str, password: &str) -> RegistryLogin {
        RegistryLogin { username: username.into(), password: Secret::new(password) }
    }

    #[test]
    fn images_are_taken_apart_as_docker_does() {
        for (image, registry, name, version) in [
            ("busybox", "", "busybox", "latest"),
            ("busybox:1", "", "busybox", "1"),
            ("school/grader", "", "school/grader", "latest"),
            ("school/grader:v2", "", "school/grader", "v2"),
            ("docker.io/library/busybox", "", "docker.io/library/busybox", "latest"),
            ("index.docker.io/a/b:c", "", "index.docker.io/a/b", "c"),
            ("localhost/grader", "localhost", "localhost/grader", "latest"),
            ("localhost:5000/grader", "localhost:5000", "localhost:5000/grader", "latest"),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000", "127.0.0.1:5000/a/b", "1"),
            ("Registry.School.es/a/b", "registry.school.es", "Registry.School.es/a/b", "latest"),
            ("r.io/a@sha256:0f", "r.io", "r.io/a", "sha256:0f"),
            ("r.io/a:7@sha256:0f", "r.io", "r.io/a", "sha256:0f"),
            ("a:", "", "a", "latest"),
            ("", "", "", "latest"),
        ] {
            let expected =
                Reference { registry: registry.into(), name: name.into(), version: version.into() };
            assert_eq!(Reference::read(image), expected, "{image}");
        }
    }

    #[test]
    fn each_registry_is_shown_only_its_own_login() {
        let credentials = [("r.io", "a"), ("https://Other.io/v1/", "b"), ("docker.io", "hub")];
        let logins =
            Logins::new(&credentials.map(|(domain, user)| (domain.into(), login(user, "secret"))).into());
        for (registry, user) in [("r.io", Some("a")), ("other.io", Some("b")), ("", Some("hub"))] {
            let header = logins.header(registry).map(|header| URL_SAFE.decode(header.as_bytes()).unwrap());
            let shown: Option<serde_json::Value> =
                header.map(|header| serde_json::from_slice(&header).unwrap());
            assert_eq!(shown.as_ref().and_then(|shown| shown["username"].as_str()), user, "{registry}");
        }
        assert_eq!(logins.header("r.io:5000"), None);
        assert_eq!(logins.header("evil.r.io"), None);
        let header = logins.header("r.io").unwrap();
        assert!(header.is_sensitive() && !format!("{header:?}").contains(header.to_str().unwrap()));
    }

    #[test]
    fn a_password_is_sent_in_the_alphabet_that_docker_reads() {
        let logins = Logins::new(&HashMap::from([(String::new(), login("u", "???>>>~~~ñ¿ÿ"))]));
        let header = logins.header("").unwrap();
        assert!(
            header.to_str().unwrap().contains(['-', '_']) && !header.to_str().unwrap().contains(['+', '/'])
        );
    }

    proptest::proptest! {
        #[test]
        fn no_image_makes_it_panic_and_none_is_pulled_without_a_version(image in "[a-z:/@.ñ]{0,40}") {
            proptest::prop_assert!(!Reference::read(&image).version.is_empty());
        }
    }
}
