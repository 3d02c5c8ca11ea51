//! A Docker engine of a test's own: another dockerd with its own folders, on a socket, and with TLS and
//! client certificates on a port where that is wanted. It can be ended in all ways and started again.
//!
//! It runs in a network namespace of its own, since a dockerd without a bridge deletes the bridge of the
//! machine's own engine when it starts. So the port is opened here and handed to it, as systemd would.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// Makes two authorities, the engine's certificate, a client's by each authority.
const CERTIFICATES: &str = r#"
set -eu
cd "$1"
for ca in ca other-ca; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$ca" -keyout $ca-key.pem -out $ca.pem
done
sign() { # name, authority, extensions
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$1-key.pem" -out "$1.csr"
    printf '%s\n' "$3" >"$1.cnf"
    openssl x509 -req -days 2 -in "$1.csr" -CA "$2.pem" -CAkey "$2-key.pem" -CAcreateserial -extfile "$1.cnf" -out "$1.pem"
}
sign server ca 'subjectAltName=DNS:localhost,IP:127.0.0.1'
sign client ca 'extendedKeyUsage=clientAuth'
sign stranger other-ca 'extendedKeyUsage=clientAuth'
"#;

/// Becomes dockerd, with the standard input as the socket that it serves.
const BECOME: &str = r#"
exec 3<&0 0</dev/null
export LISTEN_PID=$$ LISTEN_FDS=1
exec unshare --net dockerd "$@"
"#;

/// Ends dockerd, then what may live on of it (shims of containers), and takes its mounts away.
const CLEAN: &str = r#"
ended() { ! kill -0 "$ENGINE_PID" || grep -q '^State:.Z' "/proc/$ENGINE_PID/status"; }
[ -z "$ENGINE_PID" ] || kill -TERM "$ENGINE_PID"
for _ in $(seq 150); do { [ -z "$ENGINE_PID" ] || ended; } && break; sleep 0.1; done
for process in /proc/[0-9]*; do
    if grep -qaF "$ENGINE_FOLDER/" "$process/cmdline"; then kill -KILL "${process#/proc/}"; fi
done
while mounts=$(grep -oE " $ENGINE_FOLDER/[^ ]*" /proc/mounts); do echo "$mounts" | sort -r | xargs -n1 umount -l; done
"#;

/// The engine; it is ended and its folders removed when dropped.
pub struct SecondEngine {
    folder: TempDir,
    /// Where it serves TLS.
    listener: Option<TcpListener>,
    options: Vec<String>,
    process: Option<Child>,
}

impl SecondEngine {
    /// Starts it with further options, on its socket alone.
    pub async fn on_socket(options: &[&str]) -> Self {
        Self::started(folder(), None, options).await
    }

    /// The same with all that it stores on a file system of its own, of so many bytes.
    pub async fn on_disk_of(bytes: u64) -> Self {
        let folder = folder();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let size = format!("size={bytes}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "disk"]).arg(&data).status().await;
        assert!(mounted.expect("mount runs").success(), "a file system can be mounted");
        Self::started(folder, None, &[]).await
    }

    /// Makes its certificates and starts it.
    pub async fn start() -> Self {
        let folder = folder();
        let output = Command::new("sh")
            .args(["-c", CERTIFICATES, "certificates"])
            .arg(folder.path())
            .output()
            .await
            .expect("sh runs");
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self::started(folder, Some(listener), &[]).await
    }

    async fn started(folder: TempDir, listener: Option<TcpListener>, options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut engine = Self { folder, listener, options, process: None };
        engine.run().await;
        engine
    }

    /// Starts it and waits until it answers.
    pub async fn run(&mut self) {
        let path = |name: &str| self.file(name).display().to_string();
        let log = std::fs::File::options().create(true).append(true).open(self.file("log")).expect("a log");
        let mut command = Command::new("sh");
        command.args(["-c", BECOME, "dockerd"]).stdin(Stdio::null());
        if let Some(listener) = &self.listener {
            command
                .args(["-H", "fd://", "--tlsverify", "--tlscacert", &path("ca.pem")])
                .args(["--tlscert", &path("server.pem"), "--tlskey", &path("server-key.pem")])
                .stdin(OwnedFd::from(listener.try_clone().expect("a socket")));
        }
        let process = command
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["-H", &format!("unix://{}", path("s"))])
            .args(["--bridge", "none", "--iptables=false", "--ip-forward=false"])
            .args(&self.options)
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("dockerd starts; `make test` installs it");
        self.process = Some(process);
        let socket = self.file("s");
        let answers = async {
            while UnixStream::connect(&socket).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), answers).await;
        assert!(waited.is_ok(), "the second dockerd does not start:\n{}", self.log());
    }

    /// Asks it to stop, as an orderly shutdown does, and waits until it has.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        let pid = process.id().expect("it runs").to_string();
        assert!(Command::new("kill").arg(&pid).status().await.expect("kill runs").success());
        process.wait().await.expect("it ends");
    }

    /// Kills it; its containers' processes live on for now.
    pub async fn kill(&mut self) {
        self.kill_and_leave_traces().await;
        let _ = std::fs::remove_file(self.file("pid"));
        let _ = std::fs::remove_file(self.file("s"));
    }

    /// The same, with its file of its process id and its socket left behind.
    pub async fn kill_and_leave_traces(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().await.expect("it can be killed");
        // Its containerd dies with it, a moment later, and must not be met by the next one.
        let containerd = std::fs::read_to_string(self.file("exec/containerd/containerd.pid"));
        let containerd = format!("/proc/{}", containerd.expect("its id is written down").trim());
        while Path::new(&containerd).exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs the `docker` command line on it, and gives what it printed.
    pub async fn docker(&self, arguments: &[&str]) -> String {
        let host = format!("unix://{}", self.socket().display());
        super::docker::command(&[&["-H", &host], arguments].concat()).await
    }

    /// The processes that belong to it and whose command line holds a text: dockerd, containerd, shims.
    pub fn processes(&self, text: &str) -> Vec<u32> {
        let folder = format!("{}/", self.folder.path().display());
        let all = std::fs::read_dir("/proc").expect("Linux");
        let pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains(&folder) && line.contains(text)
        })
        .collect()
    }

    /// Gives it an image of the machine's own engine.
    pub async fn import(&self, image: &str) {
        super::docker::build_images().await;
        let status = Command::new("sh")
            .args(["-c", "docker save \"$1\" | docker -H \"unix://$2\" load >/dev/null", "import", image])
            .arg(self.socket())
            .status()
            .await
            .expect("sh runs");
        assert!(status.success(), "the second engine does not take the image");
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Its socket, without TLS.
    pub fn socket(&self) -> PathBuf {
        self.file("s")
    }

    /// Its port, with TLS.
    pub fn port(&self) -> u16 {
        let listener = self.listener.as_ref().expect("it serves TLS");
        listener.local_addr().expect("an address").port()
    }

    /// One of its files: `ca.pem`, `client.pem`, `client-key.pem`, `stranger.pem`, `other-ca.pem`…
    pub fn file(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("engine").tempdir_in("/tmp").expect("a folder")
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        // Asked to stop, so that it ends its containers and its containerd; what it mounted it leaves.
        let pid = self.process.as_ref().and_then(Child::id).map(|pid| pid.to_string());
        let _ = std::process::Command::new("sh")
            .args(["-c", CLEAN])
            .env("ENGINE_PID", pid.unwrap_or_default())
            .env("ENGINE_FOLDER", self.folder.path())
            .stderr(Stdio::null())
            .status();
    }
}
