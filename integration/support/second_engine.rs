//! A Docker engine of a test's own: another dockerd with its own folders, with TLS and client
//! certificates on a port. It can be killed and started again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, UnixStream};
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

/// The engine; it is ended and its folders removed when dropped.
pub struct SecondEngine {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl SecondEngine {
    /// Makes its certificates and starts it.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("engine").tempdir_in("/tmp").expect("a folder");
        let output = Command::new("sh")
            .args(["-c", CERTIFICATES, "certificates"])
            .arg(folder.path())
            .output()
            .await
            .expect("sh runs");
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("it").port();
        let mut engine = Self { folder, port, process: None };
        engine.run().await;
        engine
    }

    /// Starts it and waits until it answers.
    pub async fn run(&mut self) {
        let path = |name: &str| self.file(name).display().to_string();
        let log = std::fs::File::options().create(true).append(true).open(self.file("log")).expect("a log");
        let process = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["-H", &format!("unix://{}", path("s")), "-H", &format!("tcp://127.0.0.1:{}", self.port)])
            .args(["--tlsverify", "--tlscacert", &path("ca.pem")])
            .args(["--tlscert", &path("server.pem"), "--tlskey", &path("server-key.pem")])
            .args(["--bridge", shared_bridge(), "--iptables=false", "--ip-forward=false"])
            .stdin(Stdio::null())
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
        let log = || std::fs::read_to_string(self.file("log")).unwrap_or_default();
        assert!(waited.is_ok(), "the second dockerd does not start:\n{}", log());
    }

    /// Kills it as a power cut would; its containers' processes live on for now.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().await.expect("it can be killed");
        let _ = std::fs::remove_file(self.file("pid"));
        let _ = std::fs::remove_file(self.file("s"));
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

    /// Its socket, without TLS.
    pub fn socket(&self) -> PathBuf {
        self.file("s")
    }

    /// Its port, with TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// One of its files: `ca.pem`, `client.pem`, `client-key.pem`, `stranger.pem`, `other-ca.pem`…
    pub fn file(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        // Asked to stop, so that it ends its containers and its containerd and gives its mounts back;
        // the folder can be removed only then.
        let Some(pid) = self.process.as_ref().and_then(Child::id) else { return };
        let _ = std::process::Command::new("sh")
            .args(["-c", "kill -TERM $1; for i in $(seq 150); do kill -0 $1 2>/dev/null || break; grep -q '^State:.Z' /proc/$1/status && break; sleep 0.1; done", "stop"])
            .arg(pid.to_string())
            .stderr(Stdio::null())
            .status();
    }
}

/// An engine that is told to have no bridge deletes `docker0`, and with it the network of the engine
/// that runs already: where that one has a bridge, both use it.
fn shared_bridge() -> &'static str {
    let there = Path::new("/sys/class/net/docker0").exists();
    if there { "docker0" } else { "none" }
}
