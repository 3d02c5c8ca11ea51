//! A Redis server of a test's own: on a free port, in a directory of its own, gone with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use correction_runner::config::{RedisSettings, Secret};
use correction_runner::queue::Redis;
use tempfile::TempDir;

/// A running `redis-server`.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    options: Vec<String>,
    directory: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server and waits until it answers. `options` are those of the command line, such as
    /// `["--appendonly", "yes"]`.
    pub fn start(options: &[&str]) -> Self {
        let mut server = Self {
            port: free_port(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            directory: tempfile::tempdir().expect("a directory for redis-server"),
            process: None,
        };
        server.run();
        server
    }

    /// One server that all tests without a wish of their own share, each under a prefix of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<(RedisServer, Child)> = OnceLock::new();
        let (server, _) = SHARED.get_or_init(|| {
            let server = Self::start(&[]);
            // Statics are never dropped: a watcher ends the server when this process is gone.
            let script = "while kill -0 $1 2>/dev/null; do sleep 1; done; kill $2; rm -r \"$3\"";
            let (own, its) = (std::process::id().to_string(), server.process_id().to_string());
            let watcher = Command::new("sh")
                .args(["-c", script, "sh", &own, &its])
                .arg(server.directory())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("a watcher for redis-server");
            (server, watcher)
        });
        server
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process's id, to stop and continue it.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("a running redis-server").id()
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The settings to reach it under a prefix.
    pub fn settings(&self, prefix: &str) -> RedisSettings {
        RedisSettings {
            host: "127.0.0.1".into(),
            port: self.port,
            username: None,
            password: None,
            database: 0,
            tls: false,
            prefix: prefix.into(),
        }
    }

    /// The settings to reach it with a password.
    pub fn settings_with_password(&self, prefix: &str, password: &str) -> RedisSettings {
        RedisSettings { password: Some(Secret::new(password)), ..self.settings(prefix) }
    }

    /// A client of ours under a prefix.
    pub fn client(&self, prefix: &str) -> Redis {
        Redis::new(&self.settings(prefix)).expect("usable settings")
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again after [`RedisServer::kill`], on the same port and directory.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    fn run(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(&self.options)
            .current_dir(self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server must be installed");
        self.process = Some(process);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.answers() {
            assert!(Instant::now() < deadline, "redis-server on port {} does not answer", self.port);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Any answer but `LOADING` will do: with a password it is `NOAUTH`.
    fn answers(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut answer = [0; 64];
        stream.write_all(b"PING\r\n").is_ok()
            && stream.read(&mut answer).is_ok_and(|length| length > 0 && !answer.starts_with(b"-LOADING"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A key prefix that no other test has.
pub fn unique_prefix(test: &str) -> String {
    format!("{test}-{}", uuid::Uuid::new_v4().simple())
}
