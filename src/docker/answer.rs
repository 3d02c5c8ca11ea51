//! The engine's refusals, sorted by its status and its words (Docker 20.10 to 29, and Podman).

use http_body_util::{BodyExt, Limited};
use hyper::Response;
use hyper::body::Incoming;
use serde::Deserialize;

use super::error::{Call, EngineError};
use super::transport::told;
use super::types::ContainerSpec;
use crate::identity::ContainerId;

/// How much of a refusal's body is read, and how much of its text is kept.
const LONGEST_BODY: usize = 64 << 10;
const LONGEST_MESSAGE: usize = 1000;

/// What engines say of an image's name that no image can have.
pub(super) const BAD_REFERENCE: &str = "invalid reference format";

/// An answer that says no, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
}

#[derive(Deserialize)]
struct Told {
    message: String,
}

impl Refusal {
    /// A refusal from the status and the text of the answer: Docker's JSON, or whatever a proxy says.
    pub(super) fn new(status: u16, text: &str) -> Self {
        let message = match serde_json::from_str::<Told>(text) {
            Ok(told) => told.message,
            Err(_) => text.to_owned(),
        };
        Self { status, message: shortened(message.trim()) }
    }

    /// Reads a refusal out of an answer.
    pub(super) async fn read(call: Call, answer: Response<Incoming>) -> Result<Self, EngineError> {
        let status = answer.status().as_u16();
        match Limited::new(answer.into_body(), LONGEST_BODY).collect().await {
            Ok(body) => Ok(Self::new(status, &String::from_utf8_lossy(&body.to_bytes()))),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(Self::new(status, "")),
            Err(error) => Err(EngineError::NoAnswer { call, reason: told(error.as_ref()) }),
        }
    }

    /// The answer of an engine that was exchanged for one that does not speak our version.
    pub(super) fn is_of_another_version(&self) -> bool {
        self.status == 400
            && self.message.starts_with("client version")
            && (self.says("too old") || self.says("too new"))
    }

    /// What a refusal means that no call knows better.
    pub(super) fn error(self, call: Call) -> EngineError {
        let Self { status, message } = self;
        if is_disk_full(&message) {
            EngineError::DiskFull { message }
        } else if (400..500).contains(&status) && status != 429 {
            EngineError::BadRequest { call, message }
        } else {
            EngineError::Server { call, status, message }
        }
    }

    /// What a refusal to create a container means.
    pub(super) fn of_create(self, spec: &ContainerSpec) -> EngineError {
        if self.is_of_missing_mount(&spec.file) {
            EngineError::MountMissing { path: spec.file.clone() }
        } else if self.status == 404 && (self.says("no such image") || self.says("image not known")) {
            EngineError::NoSuchImage { image: spec.image.clone(), hint: String::new() }
        } else if self.status == 400 && self.says(BAD_REFERENCE) {
            EngineError::NoSuchImage { image: spec.image.clone(), hint: format!(": {}", self.message) }
        } else if self.status == 409 || self.says("is already in use") {
            EngineError::NameTaken { name: spec.name.clone() }
        } else if self.says("no command specified") {
            EngineError::CannotRun { message: self.message }
        } else {
            self.error(Call::Create)
        }
    }

    /// What a refusal to put a container's secret into it means.
    pub(super) fn of_put_secret(self, container: &ContainerId) -> EngineError {
        if self.says("no such container") {
            EngineError::NoSuchContainer { container: container.to_string() }
        } else if self.is_of_missing_mount("") {
            EngineError::MountMissing { path: after_last(&self.message, "does not exist: ").to_owned() }
        } else {
            self.error(Call::PutSecret)
        }
    }

    /// What a refusal to start a container means.
    pub(super) fn of_start(self, container: &ContainerId) -> EngineError {
        if self.is_of_missing_mount("") {
            EngineError::MountMissing { path: after_last(&self.message, "does not exist: ").to_owned() }
        } else if self.is_of_missing_container() {
            EngineError::NoSuchContainer { container: container.to_string() }
        } else if self.says("rlimit type 7") || self.says("rlimit_nofile") {
            EngineError::TooManyFiles { message: self.message }
        } else if self.says("setting rlimit") {
            self.error(Call::Start)
        } else if !is_disk_full(&self.message) && self.is_of_bad_command() {
            EngineError::CannotRun { message: self.message }
        } else {
            self.error(Call::Start)
        }
    }

    /// Whether it says that there is no such container. Other things can be missing too: a network.
    pub(super) fn is_of_missing_container(&self) -> bool {
        self.status == 404 && !self.says("network")
    }

    /// Whether the engine's words hold these, whatever their case.
    pub(super) fn says(&self, words: &str) -> bool {
        says(&self.message, words)
    }

    fn is_of_missing_mount(&self, file: &str) -> bool {
        self.says("bind source path does not exist")
            || self.message.contains(&format!("statfs {file}")) && self.says("no such file or directory")
    }

    /// The runtime's words for a command that it cannot execute. Other failures of the runtime are the
    /// host's own and may pass; Docker gives those a 500.
    fn is_of_bad_command(&self) -> bool {
        const WORDS: [&str; 5] = [
            "exec: \"",
            "executable file",
            "exec format error",
            "argument list too long",
            "attempted to invoke a command",
        ];
        WORDS.iter().any(|words| self.says(words)) || self.status == 400 && self.says("OCI runtime")
    }
}

/// Whether words of the engine say that its disk is full.
pub(super) fn is_disk_full(message: &str) -> bool {
    says(message, "no space left on device") || says(message, "disk quota exceeded")
}

/// Whether a text holds these words, whatever their case.
pub(super) fn says(text: &str, words: &str) -> bool {
    text.to_lowercase().contains(&words.to_lowercase())
}

fn after_last<'text>(text: &'text str, mark: &str) -> &'text str {
    text.rsplit_once(mark).map_or(text, |(_, after)| after)
}

/// At most so much of the engine's words as fits into a log line.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::profile::Profile;

    fn spec() -> ContainerSpec {
        ContainerSpec {
            name: "correction-1".into(),
            image: "grader:1".into(),
            file: "/srv/work".into(),
            params: Vec::new(),
            labels: HashMap::new(),
            seal: None,
            profile: Profile::unlimited(),
        }
    }

    fn create(status: u16, text: &str) -> EngineError {
        Refusal::new(status, text).of_create(&spec())
    }

    fn start(status: u16, text: &str) -> EngineError {
        Refusal::new(status, text).of_start(&ContainerId::new("c1"))
    }

    #[test]
    fn refusals_to_create_are_told_apart() {
        let image = EngineError::NoSuchImage { image: "grader:1".into(), hint: String::new() };
        assert_eq!(create(404, r#"{"message":"No such image: grader:1"}"#), image);
        let mount = EngineError::MountMissing { path: "/srv/work".into() };
        let docker = r#"{"message":"invalid mount config for type \"bind\": bind source path does not exist: /srv/work"}"#;
        assert_eq!(create(400, docker), mount);
        let podman = r#"{"message":"statfs /srv/work: no such file or directory"}"#;
        assert_eq!(create(500, podman), mount);
        let taken = r#"{"message":"Conflict. The container name \"/correction-1\" is already in use by container \"a5\"."}"#;
        assert_eq!(create(409, taken), EngineError::NameTaken { name: "correction-1".into() });
        assert!(matches!(create(400, "No command specified"), EngineError::CannotRun { .. }));
        let reference = create(400, r#"{"message":"invalid reference format"}"#);
        assert_eq!(reference.to_string(), "there is no image grader:1: invalid reference format");
        assert!(!reference.may_heal());
        let full = create(500, r#"{"message":"mkdir /var/lib/docker/overlay2/a: no space left on device"}"#);
        assert!(matches!(full, EngineError::DiskFull { .. }) && full.may_heal() && !full.is_ambiguous());
    }

    #[test]
    fn refusals_to_start_are_told_apart() {
        const RUNC: &str = "failed to create shim task: OCI runtime create failed: runc create failed: unable \
                            to start container process: ";
        for words in [
            r#"exec: "nope": executable file not found in $PATH: unknown"#,
            r#"exec: "/nope": stat /nope: no such file or directory: unknown"#,
            r#"exec: "/tmp": permission denied: unknown"#,
            "exec /bin/sh: argument list too long: unknown",
            r#"error mounting "/srv/work" to rootfs at "/tmp/exercise": not a directory: unknown"#,
        ] {
            let error = start(400, &format!("{RUNC}{words}"));
            assert!(matches!(error, EngineError::CannotRun { .. }) && !error.may_heal(), "{words}");
        }
        let podman = "crun: executable file `nope` not found in $PATH: No such file or directory: OCI \
                      runtime attempted to invoke a command that was not found";
        assert!(matches!(start(500, podman), EngineError::CannotRun { .. }));
        let host = start(500, &format!("{RUNC}unable to apply cgroup configuration: cannot allocate memory"));
        assert!(host.may_heal() && !host.is_ambiguous(), "{host}");
        let files =
            start(400, &format!("{RUNC}error setting rlimit type 7: operation not permitted: unknown"));
        assert!(matches!(files, EngineError::TooManyFiles { .. }) && !files.may_heal(), "{files}");
        let crun =
            start(500, "crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied");
        assert!(matches!(crun, EngineError::TooManyFiles { .. }), "{crun}");
        let other =
            start(400, &format!("{RUNC}error setting rlimit type 1: operation not permitted: unknown"));
        assert!(matches!(other, EngineError::BadRequest { .. }), "{other}");
        let full = start(500, &format!("{RUNC}mkdir /run/runc: no space left on device: unknown"));
        assert!(matches!(full, EngineError::DiskFull { .. }));
        let missing = "invalid mount config for type \"bind\": bind source path does not exist: /srv/work";
        assert_eq!(start(400, missing), EngineError::MountMissing { path: "/srv/work".into() });
        let gone = EngineError::NoSuchContainer { container: "c1".into() };
        assert_eq!(start(404, r#"{"message":"No such container: c1"}"#), gone);
        let network = start(404, r#"{"message":"network nonet not found"}"#);
        assert!(matches!(network, EngineError::BadRequest { .. }), "{network}");
    }

    #[test]
    fn what_a_proxy_says_is_ambiguous_and_what_the_engine_says_is_not() {
        let gateway = start(502, "<html>Bad Gateway</html>");
        assert!(gateway.is_ambiguous() && gateway.may_heal() && gateway.is_away());
        let engine = start(500, r#"{"message":"server error"}"#);
        assert!(!engine.is_ambiguous() && engine.may_heal() && !engine.is_away());
    }

    #[test]
    fn a_long_text_is_shortened_between_characters() {
        let refusal = Refusal::new(500, &"ñ".repeat(5000));
        assert_eq!(refusal.message.chars().count(), LONGEST_MESSAGE + 1);
    }
}
