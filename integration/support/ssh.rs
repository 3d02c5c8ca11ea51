//! A real sshd of a test's own, on a port of this machine, with its own keys: it lets the user in who runs the tests.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use correction_runner::config::{Endpoint, SshEndpoint, SshKey};
use tempfile::TempDir;

use super::proxy::ENGINE_SOCKET;
use super::redis::free_port;

/// What opens the key of `SshServer::locked_key`.
pub const PASSPHRASE: &str = "a Canary-passphrase 'of three\" words";

/// The host's key, another one, the user's key, a stranger's, and the user's with a passphrase.
const KEYS: &str = r#"
set -eu
cd "$1"
for key in host other-host user stranger; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$key"; done
ssh-keygen -q -t ed25519 -N "$2" -C '' -f locked
cat user.pub locked.pub >authorized
echo "[127.0.0.1]:$3 $(cat host.pub)" >known
echo "[127.0.0.1]:$3 $(cat other-host.pub)" >known-otherwise
: >known-none
for known in known known-otherwise known-none; do
    printf 'UserKnownHostsFile %s\nGlobalKnownHostsFile /dev/null\n' "$1/$known" >"$known.config"
done
printf 'Include %s\nIdentityFile %s\n' "$1/known.config" "$1/user" >login.config
cat >sshd.config <<EOF
ListenAddress 127.0.0.1:$3
HostKey $1/host
AuthorizedKeysFile $1/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PidFile none
LogLevel VERBOSE
EOF
# Where its package was installed and its service never started.
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
"#;

/// The server; it ends when dropped, with all of its connections.
pub struct SshServer {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl SshServer {
    /// Makes the keys, starts it, and waits until it listens.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let made = Command::new("sh")
            .args(["-c", KEYS, "keys"])
            .arg(folder.path())
            .args([PASSPHRASE, &port.to_string()])
            .output()
            .expect("sh runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { folder, port, process: None };
        server.run();
        server
    }

    /// Starts it again.
    pub fn run(&mut self) {
        let log = File::options().create(true).append(true).open(self.file("log")).expect("a log");
        let process = Command::new(program())
            .args(["-D", "-e", "-f"])
            .arg(self.file("sshd.config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts; `make test` installs it");
        self.process = Some(process);
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "sshd does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it and cuts all of its connections.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // First the one that makes more of them; each connection is a process of its own.
        let mut family = BTreeSet::from([process.id()]);
        loop {
            let more = children(&family);
            if more.is_subset(&family) {
                break;
            }
            family.extend(more);
        }
        let _ = process.kill();
        let pids = family.iter().map(u32::to_string);
        let _ = Command::new("kill").arg("-KILL").args(pids).stderr(Stdio::null()).status();
        let _ = process.wait();
    }

    /// How many logins there were.
    pub fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// One of its files: `user`, `stranger`, `locked` (private keys); `known.config`, `known-none.config`,
    /// `known-otherwise.config` (what ssh knows of the host), `login.config` (and which key it shows).
    pub fn file(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    /// The text of one of its files.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("it was made")
    }

    /// The machine's own engine behind it, for somebody who does all things right.
    pub fn endpoint(&self) -> SshEndpoint {
        SshEndpoint {
            host: "127.0.0.1".to_owned(),
            port: Some(self.port),
            username: None,
            socket: ENGINE_SOCKET.into(),
            key: Some(SshKey::File(self.file("user"))),
            passphrase: None,
            agent: None,
            config: Some(self.file("known.config")),
        }
    }

    /// The same, in other ways.
    pub fn endpoint_with(&self, change: impl FnOnce(&mut SshEndpoint)) -> Endpoint {
        let mut endpoint = self.endpoint();
        change(&mut endpoint);
        Endpoint::Ssh(Box::new(endpoint))
    }
}

/// It insists on being called by its whole path.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join("sshd"))
        .find(|file| file.exists())
        .expect("sshd; `make test` installs it")
}

/// The processes whose parents are among these.
fn children(parents: &BTreeSet<u32>) -> BTreeSet<u32> {
    let all = std::fs::read_dir("/proc").expect("Linux").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parent.is_some_and(|parent: u32| parents.contains(&parent))
    })
    .collect()
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.kill();
    }
}
