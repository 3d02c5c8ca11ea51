//! Where nothing may go: a corpus of ways around the rules, each tried through the real client beside a listener
//! that must see no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use correction_runner::callback::{Courier, Delivery};
use correction_runner::egress::{Egress, Openness, OwnService, parse_all};
use tokio::net::{TcpListener, TcpStream};

use super::courier::{TIMEOUT, deliver, delivered};
use super::receiver::{Answer, Receiver};

/// Ways to this machine: `PORT` is the listener's.
const THIS_MACHINE: &[&str] = &[
    // Plainly, and by other addresses of the same machine.
    "http://127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/",
    "http://127.0.0.2:PORT/",
    "http://127.255.255.254:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://localhost:PORT/",
    "http://LocalHost:PORT/",
    "http://localhost.:PORT/",
    "http://any.localhost:PORT/",
    "http://0.0.0.0:PORT/",
    // Short, decimal, octal and hexadecimal.
    "http://0:PORT/",
    "http://0x0:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.0.257:PORT/",
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0x7f000001:PORT/",
    "http://0X7F.1:PORT/",
    "http://0x7f.0x0.0x0.0x1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://0177.0x0.1:PORT/",
    "http://0x0000000000007f.0.0.1:PORT/",
    "http://00000000177.1:PORT/",
    "http://4294967296.0.0.1:PORT/",
    // IPv6, and IPv4 within it.
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:FFFF:127.0.0.1]:PORT/",
    "http://[::ffff:0.0.0.0]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::7f00:1]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[64:ff9b:1::127.0.0.1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2001:0:7f00:1::1]:PORT/",
    "http://[2a00::5efe:127.0.0.1]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[::1%lo]:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[v1.::1]:PORT/",
    // Other characters for the same digits, dots and letters.
    "http://１２７.０.０.１:PORT/",
    "http://127。0。0。1:PORT/",
    "http://127．0．0．1:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://𝟙𝟚𝟟.𝟘.𝟘.𝟙:PORT/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/",
    "http://ｌｏｃａｌｈｏｓｔ:PORT/",
    "http://local\u{ad}host:PORT/",
    "http://local\u{200b}host:PORT/",
    "http://127%2e0%2e0%2e1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:PORT/",
    "http://127.0.0.1%00.example.org:PORT/",
    "http://127.0.0.1%23.example.org:PORT/",
    // User information, back-slashes, white space, the wrong number of slashes.
    "http://example.org@127.0.0.1:PORT/",
    "http://example.org:80@127.0.0.1:PORT/",
    "http://example.org%40@127.0.0.1:PORT/",
    "http://a@example.org@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@example.org/",
    "http://127.0.0.1:PORT\\.example.org/",
    "http://127.0.0.1:PORT#@example.org/",
    "http://127.0.0.1:PORT?@example.org/",
    "http://127.0.0.1:PORT/@example.org",
    "http:\\\\127.0.0.1:PORT\\",
    "http:/127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:////127.0.0.1:PORT/",
    "  http://127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "ht\ntp://127.0.\t0.1:PORT/\r\n",
    "http://127.0.0.1:0000PORT/",
    "http://127.0.0.1 :PORT/",
    "http://127.0.0.1\u{a0}:PORT/",
    // Other schemes.
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_POST",
    "dict://127.0.0.1:PORT/",
    "ws://127.0.0.1:PORT/",
    "tcp://127.0.0.1:PORT/",
    "unix:///var/run/docker.sock",
    "file:///etc/passwd",
    "data:text/plain,x",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT",
    "",
];

/// Ways to what nobody may reach, whatever the settings.
const NEVER: &[&str] = &[
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254.:80/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0251.0376.0251.0376/",
    "http://169.16689662/",
    "http://１６９.２５４.１６９.２５４/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://169.254.170.2/v2/credentials",
    "http://[fd00:ec2::254]/",
    "http://[fd00:ec2::23]/",
    "http://[fd20:ce::254]/",
    "http://[fd00:c1::a9fe:a9fe]/",
    "http://[fd00:42::42]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://METADATA.google.internal./",
    "http://metadata/",
    "http://instance-data/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://192.0.2.1/",
    "http://[2001:db8::1]/",
    "http://[100::1]/",
    "http://10.0.0.1:0/",
    "http://10.0.0.1:2375/containers/create",
    "http://172.17.0.1:2376/",
    "http://192.168.0.1:6379/",
    "http://[fd12::1]:6379/",
];

/// A listener on all addresses of this machine, and how many connections it saw.
async fn listening() -> (u16, Arc<AtomicUsize>) {
    let listener = match TcpListener::bind("[::]:0").await {
        Ok(listener) => listener,
        // Without IPv6 its forms cannot be reached anyway.
        Err(_) => TcpListener::bind("0.0.0.0:0").await.expect("a free port"),
    };
    let port = listener.local_addr().expect("bound").port();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, seen)
}

fn courier(egress: Egress) -> Courier {
    Courier::new(TIMEOUT, None, egress).expect("a courier")
}

fn public() -> Egress {
    Egress { openness: Openness::Public, ..Egress::default() }
}

/// Tries each; answers which were not refused, and how.
async fn not_refused(courier: &Courier, urls: impl Iterator<Item = String>) -> Vec<String> {
    let mut reached = Vec::new();
    for url in urls {
        let delivery = deliver(courier, &url).await;
        let refused = matches!(delivery, Delivery::Forbidden { .. } | Delivery::BadUrl { .. });
        if !refused || delivery.may_heal() {
            reached.push(format!("{url:?}: {delivery}"));
        }
    }
    reached
}

fn to_port(port: u16) -> impl Iterator<Item = String> {
    THIS_MACHINE.iter().map(move |url| url.replace("PORT", &port.to_string()))
}

fn never() -> impl Iterator<Item = String> {
    NEVER.iter().map(|url| (*url).to_owned())
}

#[tokio::test]
async fn no_way_into_this_machine_is_left_open_by_the_public_policy() {
    let (port, seen) = listening().await;
    let courier = courier(public());
    let reached = not_refused(&courier, to_port(port).chain(never())).await;
    assert!(reached.is_empty(), "{} of {}: {reached:#?}", reached.len(), THIS_MACHINE.len() + NEVER.len());
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the listener saw connections");
    TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    while seen.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_way_to_our_own_redis_is_left_open_by_any_policy() {
    let (port, seen) = listening().await;
    let own = vec![OwnService { name: "Redis", host: "127.0.0.1".into(), port }];
    let allow = parse_all("*, 127.0.0.0/8, ::/0, 169.254.0.0/16").expect("rules");
    let courier = courier(Egress { own, allow, ..Egress::default() });
    let reached = not_refused(&courier, to_port(port).chain(never())).await;
    assert!(reached.is_empty(), "{reached:#?}");
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the listener saw connections");
}

#[tokio::test]
async fn by_default_this_machine_is_reached_in_each_way_that_means_it() {
    let receiver = Receiver::start(|_, _| Answer::status(200)).await;
    for host in
        ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "１２７.０.０.１"]
    {
        let url = format!("http://{host}:{}/", receiver.port);
        assert_eq!(deliver(&courier(Egress::default()), &url).await, delivered(200), "{url}");
    }
    let by_name = Egress { allow: parse_all("localhost").expect("a rule"), ..public() };
    let by_name = courier(by_name);
    assert_eq!(deliver(&by_name, &format!("http://localhost:{}/", receiver.port)).await, delivered(200));
    let other = deliver(&by_name, &receiver.url("/")).await;
    assert!(matches!(other, Delivery::Forbidden { .. }), "{other}");
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_the_callback_itself_may_not_go() {
    let (port, seen) = listening().await;
    let targets: Vec<_> = to_port(port).chain(never()).filter(|url| is_location(url)).collect();
    let locations = targets.clone();
    let mut receiver = Receiver::start(move |_, count| Answer::to(307, locations[count].clone())).await;
    let rule = format!("127.0.0.1:{}", receiver.port);
    let courier = courier(Egress { allow: parse_all(&rule).expect("a rule"), ..public() });
    for target in &targets {
        let delivery = deliver(&courier, &receiver.url("/")).await;
        let text = delivery.to_string();
        let refused = text.contains("which is refused: ") || text.contains("not a URL that can be asked for");
        assert!(
            matches!(delivery, Delivery::Redirected { status: 307, .. }) && refused,
            "{target:?}: {text}"
        );
        assert!(delivery.may_heal(), "the receiver may mend it");
        receiver.next().await;
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the listener saw connections");
    assert!(targets.len() > 60, "{}", targets.len());
}

/// What can stand in a header, and is no path on the receiver itself.
fn is_location(url: &str) -> bool {
    let absolute = url.trim_start().to_ascii_lowercase();
    url.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && ["http://", "https://", "ftp:", "gopher:", "file:", "//", "data:"]
            .iter()
            .any(|it| absolute.starts_with(it))
}

#[tokio::test]
async fn plain_http_is_refused_on_request_before_anything_is_dialled() {
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let strict = courier(Egress { https_only: true, ..Egress::default() });
    let refused = deliver(&strict, &receiver.url("/")).await;
    assert!(refused.to_string().contains("only https is allowed (CALLBACK_HTTPS_ONLY)"), "{refused}");
    assert!(receiver.came().is_none() && receiver.connections() == 0);
}
