//! A private registry of a test's own: Debian's `docker-registry` with a user and a password, behind a
//! proxy that counts. On 127.0.0.1 the engine wants no TLS of it.

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::docker;
use super::proxy::{Proxy, Target};

/// The registry's only user.
pub const USER: &str = "grader";
/// Their password: in a header it needs an alphabet of its own.
pub const PASSWORD: &str = "pass>>>???~~~word ñ";

/// The registry; it ends when dropped, and the engine forgets its image.
pub struct Registry {
    /// What stands before it: the engine talks to this.
    pub proxy: Proxy,
    _process: Child,
    _folder: TempDir,
}

impl Registry {
    /// Starts it and puts the grader's image into it.
    pub async fn start() -> Self {
        docker::build_images().await;
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("it").port();
        let users = Command::new("htpasswd").args(["-Bbn", USER, PASSWORD]).output().await;
        let users = users.expect("htpasswd is there; `make test` installs it").stdout;
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("users"), users).expect("a file");
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n\
             auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            path("data").display(),
            path("users").display(),
        );
        std::fs::write(path("config.yml"), config).expect("a file");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(path("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("docker-registry is there; `make test` installs it");
        let answers = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), answers).await.expect("the registry starts");
        let registry =
            Self { proxy: Proxy::to(Target::Port(port)).await, _process: process, _folder: folder };
        registry.fill().await;
        registry
    }

    /// Its domain.
    pub fn domain(&self) -> String {
        format!("127.0.0.1:{}", self.proxy.port())
    }

    /// The image that is in it.
    pub fn image(&self) -> String {
        format!("{}/private/grader:1", self.domain())
    }

    /// How often the image was asked for.
    pub fn asked(&self) -> usize {
        self.proxy.carried("/v2/private/grader/manifests/")
    }

    /// Makes the engine forget the image.
    pub async fn forget(&self) {
        docker::command(&["rmi", &self.image()]).await;
    }

    async fn fill(&self) {
        self.push_as(docker::GRADER_IMAGE, &self.image()).await;
        self.forget().await;
    }

    /// Puts another image into it, under a name that the engine forgets again.
    pub async fn push(&self, image: &str, name: &str) -> String {
        let pushed = format!("{}/private/{name}:1", self.domain());
        self.push_as(image, &pushed).await;
        docker::command(&["rmi", &pushed]).await;
        pushed
    }

    async fn push_as(&self, image: &str, name: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().display().to_string();
        let mut login = Command::new("docker")
            .args(["--config", &config, "login", "-u", USER, "--password-stdin", &self.domain()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker runs");
        let mut input = login.stdin.take().expect("a pipe");
        input.write_all(PASSWORD.as_bytes()).await.expect("it reads");
        drop(input);
        assert!(login.wait().await.expect("it ends").success(), "docker login");
        docker::command(&["tag", image, name]).await;
        docker::command(&["--config", &config, "push", name]).await;
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker")
            .args(["rmi", &self.image()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
