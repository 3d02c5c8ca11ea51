//! The fields of `DOCKER_OPTIONS` that count with `"protocol": "ssh"`.
//!
//! `sshOptions` are those of Node's ssh2, which Dockerode hands on
//! (<https://github.com/mscdex/ssh2#client-methods>): `privateKey`, `passphrase` and `agent` mean something to the
//! `ssh` program too. The original read the file of `"sshOptions.privateKey"`, written as one name; Dockerode
//! wants the key's text under `privateKey` within `sshOptions`. Here each may be either, in both places.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::super::settings::{Endpoint, Secret};
use super::super::ssh::{SshEndpoint, SshKey, is_ssh_host, is_ssh_socket, is_ssh_user};
use super::{Host, Reader, SOCKET, kind};

const NESTED: [&str; 3] = ["privateKey", "passphrase", "agent"];

/// What is told of logging in.
#[derive(Default)]
pub(super) struct SshOptions {
    username: Option<String>,
    key: Option<SshKey>,
    passphrase: Option<Secret>,
    agent: Option<PathBuf>,
}

impl Reader {
    pub(super) fn ssh_options(&mut self) -> SshOptions {
        let username = self.text("username");
        let nested = match self.fields.get("sshOptions") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(options)) => options.clone(),
            Some(other) => {
                self.problems.push(format!("\"sshOptions\" must be an object, not {}", kind(other)));
                Map::new()
            }
        };
        let unknown = nested.keys().filter(|name| !NESTED.contains(&name.as_str()));
        self.warnings.extend(
            unknown.map(|name| format!("the field \"sshOptions\".{name:?} is not known and is ignored")),
        );
        let mut nested = Self { fields: nested, problems: Vec::new(), warnings: Vec::new() };
        let within: Vec<_> = NESTED.iter().map(|name| nested.text(name)).collect();
        self.problems
            .extend(nested.problems.into_iter().map(|problem| format!("in \"sshOptions\": {problem}")));
        let mut told = NESTED.iter().zip(within).map(|(name, within)| {
            let literal = self.text(&format!("sshOptions.{name}"));
            within.or(literal)
        });
        let (key, passphrase, agent) = (told.next().flatten(), told.next().flatten(), told.next().flatten());
        let key = key.and_then(|text| match SshKey::read(&text) {
            Ok(key) => Some(key),
            Err(what) => {
                self.problems.push(format!("\"sshOptions.privateKey\" {what}"));
                None
            }
        });
        SshOptions { username, key, passphrase: passphrase.map(Secret::new), agent: agent.map(PathBuf::from) }
    }

    pub(super) fn ssh(
        &mut self,
        host: Host,
        port: Option<u16>,
        socket: Option<String>,
        options: SshOptions,
    ) -> Endpoint {
        let SshOptions { username, key, passphrase, agent } = options;
        let username = username.or(host.username);
        let socket = socket.map(PathBuf::from).or(host.socket).unwrap_or_else(|| SOCKET.into());
        let mut problem = |text: &str| self.problems.push(text.to_owned());
        if !is_ssh_host(&host.name) {
            problem("\"host\" must not begin with a dash");
        }
        if username.as_deref().is_some_and(|user| !is_ssh_user(user)) {
            problem("\"username\" is not the name of a user");
        }
        if !socket.to_str().is_some_and(is_ssh_socket) {
            problem("\"socketPath\" must be an absolute path on the far host, without ${");
        }
        if passphrase.is_none() && key.as_ref().is_some_and(SshKey::needs_passphrase) {
            problem(
                "\"sshOptions.privateKey\" is protected by a passphrase: tell it in \"sshOptions.passphrase\"",
            );
        }
        let mut ignored: Vec<_> =
            ["ca", "cert", "key"].into_iter().filter(|name| self.fields.contains_key(*name)).collect();
        if passphrase.is_some() && key.is_none() {
            ignored.push("sshOptions.passphrase");
        }
        if !ignored.is_empty() {
            self.warnings.push(format!("with \"protocol\": \"ssh\" these fields are ignored: {ignored:?}"));
        }
        if self.fields.contains_key("password") {
            self.warnings.push(
                "over ssh one logs in with a key (\"sshOptions.privateKey\") and not with a \"password\""
                    .into(),
            );
        }
        let port = port.or(host.port);
        let (host, passphrase) = (host.name, passphrase.filter(|_| key.is_some()));
        Endpoint::Ssh(Box::new(SshEndpoint {
            host,
            port,
            username,
            socket,
            key,
            passphrase,
            agent,
            config: None,
        }))
    }
}
