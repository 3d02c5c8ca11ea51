//! Node's own BullMQ, in either version, driven over a pipe (`integration/node/client.js`).

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::redis::RedisServer;

/// Which BullMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 5.12.7, which the original runs on.
    Five,
    /// 6.7.0.
    Six,
}

impl Version {
    fn alias(self) -> &'static str {
        match self {
            Self::Five => "bullmq5",
            Self::Six => "bullmq6",
        }
    }
}

/// A Node process with a BullMQ client.
#[derive(Debug)]
pub struct Node {
    process: Mutex<Child>,
    input: Mutex<(ChildStdin, u64)>,
    waiting: Arc<Mutex<Waiting>>,
}

/// Who waits for the answer of which request.
#[derive(Debug, Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
    ended: bool,
}

impl Node {
    /// The process that all tests share which need not kill it; it uses the shared Redis.
    pub fn shared(version: Version) -> &'static Self {
        static FIVE: OnceLock<Node> = OnceLock::new();
        static SIX: OnceLock<Node> = OnceLock::new();
        let node = match version {
            Version::Five => &FIVE,
            Version::Six => &SIX,
        };
        node.get_or_init(|| Self::start(version, RedisServer::shared()))
    }

    /// A process of the test's own.
    pub fn start(version: Version, redis: &RedisServer) -> Self {
        let mut process = Command::new("node")
            .arg(modules().join("client.js"))
            .args([version.alias(), &redis.port().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node must be installed");
        let input = process.stdin.take().expect("a pipe");
        let output = process.stdout.take().expect("a pipe");
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let answers = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut answer: Value = serde_json::from_str(&line).expect("an answer in JSON");
                let number = answer["number"].as_u64().expect("the request's number");
                if let Some(waiter) = answers.lock().expect("unpoisoned").answers.remove(&number) {
                    let result = match answer["error"].take() {
                        Value::Null => Ok(answer["result"].take()),
                        error => Err(error.as_str().unwrap_or("?").to_owned()),
                    };
                    let _ = waiter.send(result);
                }
            }
            let mut waiting = answers.lock().expect("unpoisoned");
            waiting.ended = true;
            waiting.answers.clear();
        });
        Self { process: Mutex::new(process), input: Mutex::new((input, 0)), waiting }
    }

    /// Has the client do something; its error fails the test.
    pub async fn call(&self, method: &str, request: Value) -> Value {
        match self.try_call(method, request).await {
            Ok(value) => value,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// Has the client do something that may fail.
    pub async fn try_call(&self, method: &str, request: Value) -> Result<Value, String> {
        let (sender, answer) = oneshot::channel();
        {
            let mut input = self.input.lock().expect("unpoisoned");
            input.1 += 1;
            let number = input.1;
            let mut waiting = self.waiting.lock().expect("unpoisoned");
            if waiting.ended {
                return Err("node has ended".into());
            }
            waiting.answers.insert(number, sender);
            drop(waiting);
            let line = json!({ "number": number, "method": method, "request": request });
            writeln!(input.0, "{line}").map_err(|error| error.to_string())?;
        }
        match tokio::time::timeout(Duration::from_secs(40), answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("node has ended".into()),
            Err(_) => Err("no answer within 40 s".into()),
        }
    }

    /// Kills it without warning, as a crash would.
    pub fn kill(&self) {
        let mut process = self.process.lock().expect("unpoisoned");
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where `client.js` and its modules are.
fn modules() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/node");
    assert!(
        directory.join("node_modules/bullmq6").exists(),
        "the Node clients are not installed in {}: run `make test`, or `npm ci` there",
        directory.display()
    );
    directory
}
