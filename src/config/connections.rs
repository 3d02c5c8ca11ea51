//! The settings of the connections to Redis and Docker, put together from all that tells of them.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Map;

use super::docker_host;
use super::docker_options::{self, SOCKET, is_host, without_brackets};
use super::formats::{self, Unit};
use super::inputs::{Found, Inputs};
use super::problem::{Origin, Problem};
use super::redis_url::{self, LAST_DATABASE};
use super::registry_logins::{self, Logins};
use super::settings::{DockerSettings, Endpoint, RedisSettings, Secret};
use super::ssh::SshKey;

/// Redis, by its URL or by its parts.
pub(super) fn redis(inputs: &mut Inputs) -> RedisSettings {
    let host = inputs.read("REDIS_HOST", |text| {
        let host = without_brackets(text);
        let hint = "a host name or an address; a port goes to REDIS_PORT, a URL to REDIS_URL";
        if is_host(&host) { Ok(host) } else { Err(hint.into()) }
    });
    let port = inputs.read("REDIS_PORT", |text| formats::whole(text, 1, u32::from(u16::MAX)));
    let mut settings = RedisSettings {
        host,
        port: u16::try_from(port).unwrap_or_default(),
        username: inputs.find("REDIS_USER").map(|found| found.text),
        password: inputs.find("REDIS_PASSWORD").map(|found| Secret::new(found.text)),
        database: inputs.read("REDIS_DB", |text| formats::whole(text, 0, LAST_DATABASE)),
        tls: false,
        prefix: inputs.read("QUEUE_PREFIX", formats::word),
    };
    if let Some(found) = inputs.find("REDIS_URL") {
        match redis_url::parse(&found.text) {
            Ok(url) => {
                let parts = ["REDIS_HOST", "REDIS_PORT", "REDIS_USER", "REDIS_PASSWORD"];
                let ignored: Vec<_> = parts.into_iter().filter(|name| inputs.is_set(name)).collect();
                if !ignored.is_empty() {
                    inputs.warn(format!("REDIS_URL is set and wins: {} ignored", ignored.join(", ")));
                }
                settings.host = url.host;
                settings.port = url.port.unwrap_or(6379);
                settings.username = url.username;
                settings.password = url.password.map(Secret::new);
                settings.database = url.database.unwrap_or(settings.database);
                settings.tls = url.tls;
            }
            Err(what) => unusable(inputs, "REDIS_URL", &found, what),
        }
    }
    if settings.password.is_none() && settings.username.take().is_some() {
        inputs.warn("the user of Redis is ignored, since there is no password (REDIS_PASSWORD)");
    }
    settings
}

/// The engine, and how it is used.
pub(super) fn docker(inputs: &mut Inputs) -> DockerSettings {
    let settings = DockerSettings {
        endpoint: endpoint(inputs),
        timeout: inputs.read("DOCKER_TIMEOUT", |text| formats::some_duration(text, Unit::Milliseconds)),
        pull: inputs.read("DOCKER_PULL", formats::boolean),
        pull_timeout: inputs
            .read("DOCKER_PULL_TIMEOUT", |text| formats::some_duration(text, Unit::Milliseconds)),
        credentials: logins(inputs),
    };
    if !settings.pull && !settings.credentials.is_empty() {
        inputs.warn("DOCKER_REGISTRY_CREDENTIALS are set, but DOCKER_PULL is not: they are never used");
    }
    settings
}

/// Where the engine is, with ssh's own configuration.
fn endpoint(inputs: &mut Inputs) -> Endpoint {
    let mut endpoint = endpoint_alone(inputs);
    let config = inputs.find("DOCKER_SSH_CONFIG");
    match (&mut endpoint, config) {
        (Endpoint::Ssh(ssh), Some(found)) => {
            let path = PathBuf::from(&found.text);
            match readable(&path) {
                Ok(()) => ssh.config = Some(path),
                Err(what) => unusable(inputs, "DOCKER_SSH_CONFIG", &found, what),
            }
        }
        (_, Some(_)) => {
            inputs.warn("DOCKER_SSH_CONFIG is ignored: the Docker engine is not reached over ssh");
        }
        (_, None) => {}
    }
    endpoint
}

/// `DOCKER_OPTIONS`, else its file, else `DOCKER_HOST`, else the local socket.
fn endpoint_alone(inputs: &mut Inputs) -> Endpoint {
    let nowhere = Endpoint::Unix(PathBuf::from(SOCKET));
    let (setting, found, text) = if let Some(found) = inputs.find("DOCKER_OPTIONS") {
        for ignored in ["DOCKER_OPTIONS_FILE", "DOCKER_HOST"] {
            if inputs.is_set(ignored) {
                inputs.warn(format!("DOCKER_OPTIONS is set and wins: {ignored} is ignored"));
            }
        }
        let text = found.text.clone();
        ("DOCKER_OPTIONS", found, text)
    } else if let Some(found) = inputs.find("DOCKER_OPTIONS_FILE") {
        if inputs.is_set("DOCKER_HOST") {
            inputs.warn("DOCKER_OPTIONS_FILE is set and wins: DOCKER_HOST is ignored");
        }
        let Some(text) = content(inputs, "DOCKER_OPTIONS_FILE", &found) else { return nowhere };
        ("DOCKER_OPTIONS_FILE", found, text)
    } else {
        return docker_host(inputs).unwrap_or(nowhere);
    };
    match docker_options::parse(&text) {
        Ok(options) => {
            for warning in options.warnings {
                inputs.warn(format!("{setting}: {warning}"));
            }
            check_files(inputs, setting, &found, &options.endpoint);
            options.endpoint
        }
        Err(problems) => {
            for what in problems {
                unusable(inputs, setting, &found, what);
            }
            nowhere
        }
    }
}

fn docker_host(inputs: &mut Inputs) -> Option<Endpoint> {
    let found = inputs.find("DOCKER_HOST")?;
    let verify = inputs.is_set("DOCKER_TLS_VERIFY");
    let explicit = inputs.find("DOCKER_CERT_PATH").map(|found| PathBuf::from(found.text));
    let home = inputs.plain("HOME").map(|home| Path::new(&home.text).join(".docker"));
    let directory = explicit.clone().or(home);
    let endpoint =
        inputs.read_optional("DOCKER_HOST", |text| docker_host::parse(text, verify, directory.as_deref()))?;
    match (&endpoint, explicit) {
        (Endpoint::Tls { ca: None, identity: None, .. }, Some(directory)) => {
            let what = format!("there is no ca.pem, nor cert.pem with key.pem, in {}", directory.display());
            let origin = inputs.find("DOCKER_CERT_PATH").map_or(Origin::Default, |found| found.origin);
            inputs.report(Problem::Unusable { setting: "DOCKER_CERT_PATH", origin, what });
        }
        (Endpoint::Tcp { .. }, Some(_)) => {
            inputs.warn(
                "DOCKER_CERT_PATH is ignored, since DOCKER_TLS_VERIFY is not set: DOCKER_HOST is plain",
            );
        }
        _ => {}
    }
    check_files(inputs, "DOCKER_HOST", &found, &endpoint);
    Some(endpoint)
}

/// Reports each file of an endpoint that cannot be read.
fn check_files(inputs: &mut Inputs, setting: &'static str, found: &Found, endpoint: &Endpoint) {
    let files = match endpoint {
        Endpoint::Unix(_) | Endpoint::Tcp { .. } => vec![],
        Endpoint::Tls { ca, identity, .. } => {
            let (certificate, key) = identity.clone().unzip();
            vec![("ca", ca.clone()), ("cert", certificate), ("key", key)]
        }
        Endpoint::Ssh(ssh) => match &ssh.key {
            Some(SshKey::File(path)) => vec![("sshOptions.privateKey", Some(path.clone()))],
            _ => vec![],
        },
    };
    for (field, path) in files {
        let Some(path) = path else { continue };
        if let Err(what) = readable(&path) {
            unusable(inputs, setting, found, format!("{field:?}: {what}"));
        }
    }
}

fn logins(inputs: &mut Inputs) -> Logins {
    let names = ["DOCKER_REGISTRY_CREDENTIALS_FILE", "DOCKER_REGISTRY_CREDENTIALS"];
    let mut merged = Map::new();
    let mut last = None;
    for name in names {
        let Some(found) = inputs.find(name) else { continue };
        let text = if name == names[0] { content(inputs, name, &found) } else { Some(found.text.clone()) };
        match text.map(|text| registry_logins::object(&text)) {
            Some(Ok(object)) => merged = registry_logins::merge(merged, object),
            Some(Err(what)) => unusable(inputs, name, &found, what),
            None => {}
        }
        last = Some((name, found));
    }
    let Some((name, found)) = last else { return Logins::new() };
    match registry_logins::logins(&merged) {
        Ok((logins, warnings)) => {
            for warning in warnings {
                inputs.warn(format!("{name}: {warning}"));
            }
            logins
        }
        Err(problems) => {
            for what in problems {
                unusable(inputs, name, &found, what);
            }
            Logins::new()
        }
    }
}

/// The content of the file that a setting names; what cannot be read is reported.
pub(super) fn content(inputs: &mut Inputs, setting: &'static str, found: &Found) -> Option<String> {
    match std::fs::read_to_string(&found.text) {
        Ok(text) => Some(text.trim_start_matches('\u{feff}').to_owned()),
        Err(error) => {
            unusable(inputs, setting, found, format!("cannot read {}: {error}", found.text));
            None
        }
    }
}

/// Whether a file can be read; if not, why.
pub(super) fn readable(path: &Path) -> Result<(), String> {
    let opened = File::open(path).and_then(|file| file.metadata());
    match opened {
        Ok(metadata) if metadata.is_dir() => Err(format!("{} is a directory", path.display())),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

pub(super) fn unusable(inputs: &mut Inputs, setting: &'static str, found: &Found, what: String) {
    inputs.report(Problem::Unusable { setting, origin: found.origin.clone(), what });
}
