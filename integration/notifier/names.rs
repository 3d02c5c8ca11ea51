//! Names whose addresses change: the real program with a real resolver, which asks a DNS server of the test's own.
//!
//! The program runs in a mount namespace of its own, in which `/etc/resolv.conf` names that server.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::job::FINISHED_QUEUE;
use correction_runner::queue::{JobOptions, NewJob, Queue};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};

use super::receiver::{Answer, Receiver};
use super::{verdict, within};
use crate::queue::Place;
use crate::support::redis::RedisServer;

const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const DENIED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// What the server answers to a question for an IPv4 address, by how many of them came before; nothing = it fails.
type Zone = Arc<dyn Fn(usize) -> Vec<Ipv4Addr> + Send + Sync>;

/// A DNS server at an address of its own.
pub struct NameServer {
    /// Where it is asked, on port 53.
    pub address: Ipv4Addr,
    /// How many questions for an IPv4 address came.
    pub asked: Arc<AtomicUsize>,
}

impl NameServer {
    pub async fn start(zone: impl Fn(usize) -> Vec<Ipv4Addr> + Send + Sync + 'static) -> Self {
        let (address, socket) = loop {
            let address = Ipv4Addr::new(127, fastrand::u8(64..), fastrand::u8(1..), fastrand::u8(1..255));
            if let Ok(socket) = UdpSocket::bind((address, 53)).await {
                break (address, socket);
            }
        };
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, zone): (_, Zone) = (Arc::clone(&asked), Arc::new(zone));
        tokio::spawn(async move {
            let mut packet = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut packet).await {
                let answer = answer(&packet[..length], &count, &zone);
                // The client may have gone.
                let _ = socket.send_to(&answer, client).await;
            }
        });
        Self { address, asked }
    }
}

/// RFC 1035, section 4: the question is repeated, and each address follows as a record without a time to live.
fn answer(question: &[u8], count: &AtomicUsize, zone: &Zone) -> Vec<u8> {
    let name_end = question[12..].iter().position(|byte| *byte == 0).expect("a name") + 13;
    let is_v4 = question[name_end..name_end + 2] == [0, 1];
    let addresses = if is_v4 { zone(count.fetch_add(1, Ordering::SeqCst)) } else { Vec::new() };
    let server_failure = u8::from(is_v4 && addresses.is_empty()) * 2;
    let found = u8::try_from(addresses.len()).expect("few");
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | server_failure, 0, 1, 0, found, 0, 0, 0, 0]);
    answer.extend(&question[12..name_end + 4]);
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

/// A notifier whose resolver asks that server and nobody else.
pub struct Notifier {
    pub queue: Queue,
    place: Place,
    _process: Child,
    folder: TempDir,
}

impl Notifier {
    pub fn start(test: &str, names: &NameServer) -> Self {
        Self::start_with(test, names, &[])
    }

    /// The same with more settings.
    pub fn start_with(test: &str, names: &NameServer, settings: &[(&str, &str)]) -> Self {
        let (place, folder) = (Place::new(test), tempfile::tempdir().expect("a folder"));
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let resolver =
            file("resolv.conf", &format!("nameserver {}\noptions timeout:1 attempts:1\n", names.address));
        let switch = file("nsswitch.conf", "hosts: files dns\n");
        let script = "mount --bind \"$1\" /etc/resolv.conf && mount --bind \"$2\" /etc/nsswitch.conf && exec \"$3\" notifier";
        let process = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .args([&resolver, &switch])
            .arg(env!("CARGO_BIN_EXE_correction-runner"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs([
                ("REDIS_PORT", RedisServer::shared().port().to_string()),
                ("QUEUE_PREFIX", place.prefix.clone()),
                ("CALLBACK_DENY", DENIED.to_string()),
            ])
            .envs(settings.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(folder.path().join("log")).expect("created"))
            .kill_on_drop(true)
            .spawn()
            .expect("unshare runs (as root)");
        let queue = place.redis.queue(FINISHED_QUEUE);
        Self { queue, place, _process: process, folder }
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    pub async fn add(&self, id: String, port: u16, attempts: u32) {
        self.add_for("http", id, port, attempts).await;
    }

    pub async fn add_for(&self, scheme: &str, id: String, port: u16, attempts: u32) {
        let options = JobOptions {
            attempts: Some(attempts),
            backoff: Some(Duration::from_millis(10)),
            ..JobOptions::default()
        };
        let data = verdict(&format!("{scheme}://receiver.test:{port}/{id}"));
        let job = NewJob { id: Some(JobId::new(id)), name: String::new(), data, options };
        self.queue.add(&job).await.expect("added");
    }

    pub async fn until_ended(&self, completed: u64, failed: u64) {
        within(async {
            loop {
                let counts = self.queue.counts().await.expect("counts");
                assert!(counts.completed <= completed && counts.failed <= failed, "{counts:?}");
                if (counts.completed, counts.failed) == (completed, failed) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

/// A receiver at the good address and one at the denied address, on the same port; connections are used once.
async fn receivers() -> (Receiver, Receiver) {
    let answer = |_: &_, _| Answer::Say(200, vec![("connection", "close".into())], "");
    loop {
        let good = Receiver::start_at(&format!("{GOOD}:0"), answer).await;
        let other = format!("{DENIED}:{}", good.port);
        if std::net::TcpListener::bind(&other).is_ok() {
            return (good, Receiver::start_at(&other, answer).await);
        }
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_from_one_question_to_the_next_never_leads_where_it_may_not() {
    const RESULTS: usize = 30;
    let names = NameServer::start(|before| vec![if before % 2 == 0 { GOOD } else { DENIED }]).await;
    let (good, denied) = receivers().await;
    let notifier = Notifier::start("rebinding", &names);
    for number in 0..RESULTS {
        // One after the other: those that want the same name at the same time share one look-up.
        notifier.add(format!("r{number}"), good.port, 1).await;
        let ended = number as u64 + 1;
        notifier.until_ended(ended.div_ceil(2), ended / 2).await;
    }
    assert_eq!(denied.connections(), 0);
    assert_eq!(good.connections(), RESULTS / 2);
    assert_eq!(
        names.asked.load(Ordering::SeqCst),
        RESULTS,
        "one question for each delivery, and no second one"
    );
    let reasons: Vec<Option<String>> = (0..RESULTS)
        .map(|number| notifier.place.ask_of(FINISHED_QUEUE, "HGET", &format!("r{number}"), &["failedReason"]))
        .collect();
    let refused =
        reasons.into_iter().flatten().filter(|why| why.contains("127.0.0.3 (of receiver.test) is denied"));
    assert_eq!(refused.count(), RESULTS / 2);
}

#[tokio::test]
async fn of_a_names_addresses_only_those_are_dialled_that_may_be() {
    let names = NameServer::start(|_| vec![DENIED, Ipv4Addr::new(169, 254, 1, 1), GOOD, DENIED]).await;
    let (good, denied) = receivers().await;
    let notifier = Notifier::start("mixed-answers", &names);
    for number in 0..10 {
        notifier.add(format!("r{number}"), good.port, 1).await;
    }
    notifier.until_ended(10, 0).await;
    assert_eq!((good.connections(), denied.connections()), (10, 0));
}

#[tokio::test]
async fn a_name_that_is_not_found_for_a_while_costs_attempts_and_no_result() {
    let names = NameServer::start(|before| if before < 2 { Vec::new() } else { vec![GOOD] }).await;
    let (good, _denied) = receivers().await;
    let notifier = Notifier::start("not-found", &names);
    notifier.add("r".to_owned(), good.port, 10).await;
    notifier.until_ended(1, 0).await;
    let made: Option<String> = notifier.place.ask_of(FINISHED_QUEUE, "HGET", "r", &["atm"]);
    assert!(made.is_some_and(|made| made != "1"), "it was tried more than once");
}
