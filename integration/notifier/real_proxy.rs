//! Callbacks by a proxy that is not ours: tinyproxy, as Debian has it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use correction_runner::callback::{Courier, Delivery};
use correction_runner::egress::{Egress, Proxies, Proxy, Reach, parse_all, reach};
use tempfile::TempDir;

use super::courier::{TIMEOUT, deliver, delivered};
use super::receiver::{Answer, Receiver};
use crate::support::redis::free_port;

/// A tinyproxy of a test's own; it ends with it.
struct Tinyproxy {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Tinyproxy {
    /// One that wants a user and a password, and lets through to one port.
    fn start(to: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let begun = Instant::now();
        loop {
            let port = free_port();
            let lines = [
                &format!("Port {port}"),
                "Listen 127.0.0.1",
                "Allow 127.0.0.1",
                "MaxClients 20",
                "LogLevel Critical",
                "BasicAuth runner canary",
                &format!("ConnectPort {to}"),
            ];
            let path = folder.path().join("tinyproxy.conf");
            std::fs::write(&path, lines.join("\n") + "\n").expect("written");
            let mut process = Command::new("tinyproxy")
                .arg("-d")
                .arg("-c")
                .arg(&path)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("tinyproxy is there (scripts/set_up_services --for test)");
            let at = SocketAddr::from(([127, 0, 0, 1], port));
            while process.try_wait().expect("a child").is_none() {
                if answers(at) {
                    return Self { port, process, _folder: folder };
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "tinyproxy does not listen");
                std::thread::sleep(Duration::from_millis(20));
            }
            // Another test took the port meanwhile.
            assert!(begun.elapsed() < Duration::from_secs(60), "tinyproxy does not start");
        }
    }

    fn courier(&self, user: &str, direct: &str) -> Courier {
        let proxy = Proxy::parse(&format!("http://{user}127.0.0.1:{}", self.port)).expect("a proxy");
        let direct = parse_all(direct).expect("rules");
        let proxies = Proxies { for_http: Some(proxy.clone()), for_https: Some(proxy), direct };
        Courier::new(TIMEOUT, None, Egress { proxies, ..Egress::default() }).expect("a courier")
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = (self.process.kill(), self.process.wait());
    }
}

/// Whether it is tinyproxy that listens there, and not another test that took the port: it wants credentials.
fn answers(at: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(at) else { return false };
    let mut answer = Vec::new();
    let asked = stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .and_then(|()| stream.write_all(b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n"))
        .and_then(|()| stream.read_to_end(&mut answer));
    // Whoever else it is may answer anything, or nothing.
    drop(asked);
    let answer = String::from_utf8_lossy(&answer);
    answer.starts_with("HTTP/1.") && answer.contains(" 407 ") && answer.to_lowercase().contains("tinyproxy")
}

/// An address of this machine that is not a loopback one and may be reached: that of Docker's bridge, or else the first.
pub fn own_address() -> IpAddr {
    let run = |program: &str, arguments: &[&str]| {
        let told = Command::new(program).args(arguments).output();
        told.map(|told| String::from_utf8(told.stdout).expect("text")).unwrap_or_default()
    };
    // Where there is no `ip` or no bridge the others are to do.
    let bridge = run("ip", &["-4", "-o", "address", "show", "docker0"]);
    let bridge = bridge.split_whitespace().skip_while(|word| *word != "inet").nth(1).unwrap_or_default();
    let all = run("hostname", &["-I"]);
    let words = bridge.split('/').take(1).chain(all.split_whitespace());
    let mut addresses = words.filter_map(|word| word.parse::<IpAddr>().ok());
    let found = addresses.find(|address| address.is_ipv4() && !matches!(reach(*address), Reach::Never(_)));
    found.unwrap_or_else(|| {
        panic!(
            "this machine has no address for a receiver, as dockerd's bridge (docker0) gives it one: {all}"
        )
    })
}

#[tokio::test]
async fn a_real_proxy_carries_callbacks_and_its_refusals_are_named() {
    let address = own_address();
    let mut receiver = Receiver::start_at(&format!("{address}:0"), |_, _| Answer::status(200)).await;
    let other = Receiver::start_at(&format!("{address}:0"), |_, _| Answer::status(200)).await;
    let proxy = Tinyproxy::start(receiver.port);
    let url = |port| format!("http://{address}:{port}/");
    let known = proxy.courier("runner:canary@", "");
    for _ in 0..3 {
        assert_eq!(deliver(&known, &url(receiver.port)).await, delivered(200));
        assert_eq!(receiver.next().await.body, "{\"grade\":1}");
    }
    // This port is not among those that it lets through; without credentials none is.
    let to =
        |port| format!("the proxy http://127.0.0.1:{} refused to connect to {address}:{port}: 4", proxy.port);
    for (courier, port, status) in [
        (known, other.port, "403"),
        (proxy.courier("", ""), receiver.port, "407"),
        (proxy.courier("runner:wrong@", ""), receiver.port, "40"),
    ] {
        let refused = deliver(&courier, &url(port)).await;
        let told = refused.to_string();
        assert!(matches!(refused, Delivery::Unreachable { connected: false, .. }), "{told}");
        assert!(told.contains(&to(port)) && told.contains(status) && !told.contains("canary"), "{told}");
    }
    assert!(receiver.came().is_none() && other.connections() == 0);
    // What is excepted goes past it.
    for direct in [address.to_string(), format!("{address}/32"), "*".to_owned()] {
        assert_eq!(deliver(&proxy.courier("", &direct), &url(other.port)).await, delivered(200), "{direct}");
    }
}
