//! What the real program tells systemd, which a socket of the test stands in for.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as Bound};

use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::{PATIENCE, System};

/// The service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn at(address: &SocketAddr) -> Self {
        let socket = Bound::bind_addr(address).expect("a free address");
        socket.set_nonblocking(true).expect("a socket");
        Self(UnixDatagram::from_std(socket).expect("a socket"))
    }

    /// The lines of the next message.
    async fn next(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length =
            timeout(PATIENCE, self.0.recv(&mut message)).await.expect("it is told").expect("a message");
        let text = std::str::from_utf8(&message[..length]).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    /// All lines up to the one that is wanted, and the rest of its message.
    async fn lines_until(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let lines = self.next().await;
            let found = lines.iter().any(|line| wanted(line));
            all.extend(lines);
            if found {
                return all;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_what_it_waits_for_that_it_is_ready_that_it_lives_and_that_it_stops() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    let path = system.folder().join("notify");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).expect("a path"));
    let (port, path) = (system.server.port().to_string(), path.display().to_string());
    system.set(&[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "2000000"), ("REDIS_PORT", "1")]);
    system.spawn("all");
    let before =
        manager.lines_until(|line| line.contains("starter, completer, notifier: waiting for Redis")).await;
    assert!(!before.iter().any(|line| line == "READY=1"), "{before:?}");
    let (code, _) = system.stop("all").await;
    assert_eq!(code, Some(0));
    let last = manager.lines_until(|line| line == "STOPPING=1").await;
    assert!(!last.iter().any(|line| line == "READY=1"), "{last:?}");

    system.set(&[("REDIS_PORT", &port)]);
    system.spawn("all");
    let up_to_ready = manager.lines_until(|line| line == "READY=1").await;
    assert_eq!(
        up_to_ready.last().expect("a status"),
        "STATUS=takes work; jobs in hand: 0",
        "{up_to_ready:?}"
    );
    // Alive, again and again.
    for _ in 0..3 {
        manager.lines_until(|line| line == "WATCHDOG=1").await;
    }
    let (code, _) = system.stop("all").await;
    assert_eq!(code, Some(0), "{}", system.logs());
    let last = manager.lines_until(|line| line == "STOPPING=1").await;
    assert!(!last.iter().any(|line| line == "READY=1"), "ready is told once: {last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abstract_socket_is_told_too_and_without_a_watchdog_nothing_is_said_of_life() {
    let mut system = System::prepare().await;
    let name = format!("correction-runner-test-{}", fastrand::u64(..));
    let manager = Manager::at(&SocketAddr::from_abstract_name(&name).expect("a name"));
    system.set(&[("NOTIFY_SOCKET", &format!("@{name}"))]);
    system.spawn("notifier");
    manager.lines_until(|line| line == "READY=1").await;
    let (code, _) = system.stop("notifier").await;
    assert_eq!(code, Some(0));
    let rest = manager.lines_until(|line| line == "STOPPING=1").await;
    assert!(!rest.iter().any(|line| line == "WATCHDOG=1"), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_is_away_harms_nobody_and_is_told_all_once_it_is_there() {
    let mut system = System::prepare().await;
    let path = system.folder().join("nobody");
    system.set(&[("NOTIFY_SOCKET", &path.display().to_string()), ("WATCHDOG_USEC", "1000000")]);
    system.spawn("notifier");
    system
        .until("it delivers", async || system.log_of("notifier").contains("delivering results").then_some(()))
        .await;
    // It tries again for as long as it runs: once somebody listens, all is told.
    let manager = Manager::at(&SocketAddr::from_pathname(&path).expect("a path"));
    let lines = manager.lines_until(|line| line == "READY=1").await;
    assert!(lines.iter().any(|line| line.starts_with("STATUS=")), "{lines:?}");
    system.stop_all().await;
}
