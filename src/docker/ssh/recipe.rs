//! How the ssh program is called: its options, what it is given of the environment, and the key.
//!
//! The private key stands in memory that has no name (`memfd`), which ssh opens as its standard input: never in a
//! file, an argument or a variable, and gone with the last process that holds it. ssh reads it from `/dev/stdin`
//! as often as it likes, each time from the beginning.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{MemfdFlags, memfd_create};
use tokio::process::Command;

use super::super::error::EngineError;
use super::stand_in::{self, PASSPHRASE};
use crate::config::{SshEndpoint, SshKey};

/// What ssh may know of our environment: none of it is a secret of ours.
const KNOWN: [&str; 10] = [
    "HOME",
    "KRB5CCNAME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "SSH_AUTH_SOCK",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// Options that must not be left to a person's configuration: nobody is there to be asked, nothing but the engine
/// is forwarded, a peer that is gone is noticed, and what goes wrong is told.
const OPTIONS: [&str; 16] = [
    "ConnectTimeout=10",
    "ConnectionAttempts=1",
    "ControlMaster=no",
    "ControlPath=none",
    "ControlPersist=no",
    "ExitOnForwardFailure=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "LogLevel=INFO",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "ServerAliveCountMax=3",
    "ServerAliveInterval=3",
    "StreamLocalBindMask=0177",
    "StreamLocalBindUnlink=no",
];

/// Prints what can be said of a socket.
const LOOK: &str = "if [ ! -e \"$1\" ]; then echo missing; elif [ ! -S \"$1\" ]; then echo other; \
                    elif [ -r \"$1\" ] && [ -w \"$1\" ]; then echo usable; else echo forbidden; fi";

/// Everything that it takes to call ssh.
pub(super) struct Recipe {
    program: PathBuf,
    endpoint: SshEndpoint,
    /// The key, the passphrase, or both.
    secrets: Option<File>,
}

impl Recipe {
    /// Looks for the program and puts the key into memory without a name.
    pub(super) fn new(endpoint: &SshEndpoint) -> Result<Self, EngineError> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        let Some(program) = found_in(&path) else {
            return Err(EngineError::BadEndpoint(format!(
                "the engine of {} is reached over ssh, and there is no program `ssh` in PATH: install it (Debian: \
                 openssh-client), or reach the engine by https",
                endpoint.host
            )));
        };
        let secrets = keep(endpoint).map_err(|error| {
            EngineError::BadEndpoint(format!("the key of ssh cannot be kept in memory: {error}"))
        })?;
        Ok(Self { program, endpoint: endpoint.clone(), secrets })
    }

    pub(super) fn endpoint(&self) -> &SshEndpoint {
        &self.endpoint
    }

    /// The process that carries connections from a socket here to the engine's socket there.
    pub(super) fn forward(&self, socket: &Path) -> Command {
        let mut command = self.command();
        let forward = [escaped(&socket.to_string_lossy()), escaped(&self.endpoint.socket.to_string_lossy())];
        command.arg("-N").arg("-L").arg(forward.join(":"));
        command.arg("--").arg(&self.endpoint.host).stdout(Stdio::null());
        command
    }

    /// The process that looks at the engine's socket there.
    pub(super) fn look_at_socket(&self) -> Command {
        let mut command = self.command();
        let socket = self.endpoint.socket.to_string_lossy().replace('\'', r"'\''");
        command.arg("--").arg(&self.endpoint.host).arg(format!("sh -c '{LOOK}' sh '{socket}'"));
        command.stdout(Stdio::piped());
        command
    }

    fn command(&self) -> Command {
        let SshEndpoint { port, username, key, passphrase, agent, config, .. } = &self.endpoint;
        let mut command = stand_in::bound_to_us(&self.program);
        if let Some(config) = config {
            command.arg("-F").arg(config);
        }
        for option in OPTIONS {
            command.arg("-o").arg(option);
        }
        if passphrase.is_some() {
            // Only for the passphrase is anybody asked, and that one is us.
            for option in ["BatchMode=no", "NumberOfPasswordPrompts=1", "PreferredAuthentications=publickey"]
            {
                command.arg("-o").arg(option);
            }
        } else {
            command.arg("-o").arg("BatchMode=yes");
        }
        match key {
            Some(SshKey::File(path)) => {
                let path = path.to_string_lossy().replace('%', "%%");
                command.arg("-i").arg(path);
            }
            Some(SshKey::Text(_)) => {
                command.arg("-i").arg("/dev/stdin");
            }
            None => {}
        }
        if key.is_some() && agent.is_none() {
            command.arg("-o").arg("IdentitiesOnly=yes");
        }
        if let Some(user) = username {
            command.arg("-l").arg(user);
        }
        if let Some(port) = port {
            command.arg("-p").arg(port.to_string());
        }
        command.env_clear().envs(KNOWN.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("LC_ALL", "C");
        stand_in::arm(&mut command, passphrase.is_some());
        if let Some(agent) = agent {
            // By this word ssh means the variable, whatever its configuration names.
            command.env("SSH_AUTH_SOCK", agent).arg("-o").arg("IdentityAgent=SSH_AUTH_SOCK");
        }
        command.stdin(self.stdin()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    fn stdin(&self) -> Stdio {
        let Some(secrets) = &self.secrets else { return Stdio::null() };
        // At its end: whoever reads on instead of opening it reads nothing, so that nothing of it is sent anywhere.
        let mut shared = secrets;
        match shared.seek(SeekFrom::End(0)).and_then(|_| secrets.try_clone()) {
            Ok(secrets) => Stdio::from(secrets),
            Err(_) => Stdio::null(),
        }
    }
}

/// Where the engine is, for people.
impl fmt::Display for Recipe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SshEndpoint { host, port, username, socket, .. } = &self.endpoint;
        formatter.write_str("ssh://")?;
        if let Some(user) = username {
            write!(formatter, "{user}@")?;
        }
        if host.contains(':') {
            write!(formatter, "[{host}]")?;
        } else {
            formatter.write_str(host)?;
        }
        if let Some(port) = port {
            write!(formatter, ":{port}")?;
        }
        formatter.write_str(&socket.to_string_lossy())
    }
}

/// The program in one of the folders of a search path.
fn found_in(path: &OsString) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path).map(|folder| folder.join("ssh")).find(is_program)
}

/// Memory without a name that holds the key's text and the passphrase, for this user alone.
fn keep(endpoint: &SshEndpoint) -> io::Result<Option<File>> {
    let key = match &endpoint.key {
        Some(SshKey::Text(text)) => Some(text),
        _ => None,
    };
    if key.is_none() && endpoint.passphrase.is_none() {
        return Ok(None);
    }
    // Some kernels want it to be told that nothing in it is to be executed; older ones do not know the word.
    let memory = memfd_create("ssh", MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("ssh", MemfdFlags::CLOEXEC))?;
    let mut file = File::from(memory);
    file.set_permissions(Permissions::from_mode(0o600))?;
    if let Some(key) = key {
        file.write_all(key.reveal().as_bytes())?;
    }
    if let Some(passphrase) = &endpoint.passphrase {
        file.write_all(PASSPHRASE.as_bytes())?;
        file.write_all(passphrase.reveal().as_bytes())?;
    }
    Ok(Some(file))
}

/// A path as ssh reads it in `-L`, where a colon ends it and a percent sign begins a token.
fn escaped(path: &str) -> String {
    path.replace('\\', r"\\").replace(':', r"\:").replace('%', "%%")
}
