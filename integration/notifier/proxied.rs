//! Callbacks by a proxy: they are the same to the receiver, the proxy is asked for checked addresses only, and what it says
//! is not taken for the receiver's answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use correction_runner::callback::{Courier, Delivery};
use correction_runner::egress::{Egress, Openness, OwnService, Proxies, Proxy, parse_all};
use correction_runner::signing::{Checker, Claim, SigningKeys, checking_keys, signing_keys};

use super::courier::{TIMEOUT, deliver, delivered};
use super::names::{NameServer, Notifier};
use super::receiver::{Answer, Receiver};
use super::tls::{certificates, receiver_that};
use super::{ID, PATIENT, System, VERDICT_BODY, verdict};
use crate::support::connect_proxy::{ConnectProxy, Reply};
use crate::support::redis::free_port;

/// Where receivers are, as far as the runner knows: the proxies of these tests lead all addresses to this machine.
const FAR: &str = "10.99.0.1";

/// All callbacks by a proxy.
fn by(url: &str) -> Egress {
    let proxy = Proxy::parse(url).ok();
    assert!(proxy.is_some(), "{url} is a proxy");
    let proxies = Proxies { for_http: proxy.clone(), for_https: proxy, direct: Vec::new() };
    Egress { proxies, ..Egress::default() }
}

fn courier(egress: Egress) -> Courier {
    Courier::new(TIMEOUT, None, egress).expect("a courier")
}

fn far(receiver: &Receiver) -> String {
    format!("http://{FAR}:{}/", receiver.port)
}

#[tokio::test]
async fn by_http_and_by_https_the_proxy_is_asked_for_the_address_and_the_receiver_gets_the_same_bytes() {
    let folder = certificates();
    let proxy = ConnectProxy::open().await;
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let keys = SigningKeys::new(signing_keys(key, None).expect("a key"));
    let courier =
        Courier::new(TIMEOUT, Some(&folder.path().join("ca.pem")), by(&proxy.url())).expect("a courier");
    let courier = courier.signing_with(keys);
    let plain = Receiver::start(|_, _| Answer::status(200)).await;
    let encrypted = receiver_that(folder.path(), "far.pem", |_, _| Answer::status(200)).await;
    for (scheme, mut receiver) in [("http", plain), ("https", encrypted)] {
        let target = format!("{FAR}:{}", receiver.port);
        let body = Bytes::from_static(b"{\"grade\":1}");
        let attempt = courier.deliver(&format!("{scheme}://u:canary@{target}/a?b=c"), "id-1", body).await;
        assert_eq!(attempt.delivery, delivered(200));
        let asked = receiver.next().await;
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str(), asked.body.as_str()),
            ("POST", "/a?b=c", "{\"grade\":1}")
        );
        assert_eq!(
            (asked.header("host"), asked.header("authorization")),
            (target.as_str(), "Basic dTpjYW5hcnk=")
        );
        let claim = Claim {
            id: Some(asked.header("webhook-id")),
            timestamp: Some(asked.header("webhook-timestamp")),
            signature: Some(asked.header("webhook-signature")),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let checker = Checker::new(checking_keys(key, None).expect("a key"), Duration::from_secs(300));
        checker.check(claim, asked.body.as_bytes(), now).expect("genuine");
        let asked = proxy.asked().pop().expect("it was asked");
        assert!(
            asked.head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")),
            "{asked:?}"
        );
        assert!(!asked.head.to_lowercase().contains("authorization"), "{asked:?}");
    }
    assert_eq!(proxy.targets().len(), 2);
}

#[tokio::test]
async fn a_certificate_has_to_be_the_receivers_by_a_proxy_too() {
    let folder = certificates();
    let proxy = ConnectProxy::open().await;
    let courier =
        Courier::new(TIMEOUT, Some(&folder.path().join("ca.pem")), by(&proxy.url())).expect("a courier");
    let mut other = receiver_that(folder.path(), "other.pem", |_, _| Answer::status(200)).await;
    let refused = deliver(&courier, &format!("https://{FAR}:{}/", other.port)).await;
    assert!(refused.may_heal() && refused.to_string().contains("not valid for name"), "{refused}");
    assert!(other.came().is_none());
}

#[tokio::test]
async fn connections_by_a_proxy_are_used_again() {
    let proxy = ConnectProxy::open().await;
    let receiver = Receiver::start(|_, _| Answer::status(204)).await;
    let courier = courier(by(&proxy.url()));
    for _ in 0..10 {
        assert_eq!(deliver(&courier, &far(&receiver)).await, delivered(204));
        // The connection is free again a little after the answer.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(proxy.targets().len() < 6, "{:?}", proxy.targets());
}

#[tokio::test]
async fn a_proxys_user_and_password_are_told_to_it_and_to_nobody_else() {
    let proxy = ConnectProxy::start(|asked, _| {
        let knows = asked.head.contains("\r\nProxy-Authorization: Basic dXNAZXI6cDpzcw==\r\n");
        if knows { Reply::Connect } else { Reply::Say("HTTP/1.1 407 Who are you\r\n\r\n") }
    })
    .await;
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let with = |credentials: &str| courier(by(&format!("http://{credentials}127.0.0.1:{}", proxy.port)));
    assert_eq!(deliver(&with("us%40er:p%3Ass@"), &far(&receiver)).await, delivered(200));
    let headers = receiver.next().await.headers;
    assert!(!headers.keys().any(|name| name.as_str().contains("auth")), "{headers:?}");
    for wrong in ["", "us%40er:canary@"] {
        let refused = deliver(&with(wrong), &far(&receiver)).await;
        let told = format!("{refused} {refused:?}");
        let expected = format!(
            "the proxy {} refused to connect to {FAR}:{}: 407 Who are you",
            proxy.url(),
            receiver.port
        );
        assert!(told.contains(&expected) && told.contains("CALLBACK_PROXY"), "{told}");
        assert!(refused.may_heal() && !told.contains("canary"), "{told}");
    }
    assert!(receiver.came().is_none());
}

#[tokio::test]
async fn what_the_proxy_refuses_is_told_as_the_proxys_word_and_tried_again() {
    const WORDS: [&str; 4] = [
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ncanary",
        // None of these is the receiver's, who could end all attempts or ask for patience.
        "HTTP/1.1 410 Gone\r\nRetry-After: 3600\r\n\r\n",
        "HTTP/1.1 503 Down\r\nRetry-After: 3600\r\n\r\n",
        "no proxy\r\n\r\n",
    ];
    let proxy =
        ConnectProxy::start(|_, before| WORDS.get(before).map_or(Reply::Connect, |word| Reply::Say(word)))
            .await;
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let egress = by(&proxy.url());
    let system = System::start_with("by-proxy", PATIENT, |settings| settings.egress = egress);
    system.add(&verdict(&far(&receiver)), 10, Duration::from_millis(1)).await;
    system.until(|counts| counts.completed == 1).await;
    assert_eq!(receiver.next().await.body, VERDICT_BODY);
    assert!(receiver.came().is_none());
    let log = system.log(ID);
    for (line, words) in
        log.iter().zip(["403 Forbidden", "410 Gone", "503 Down", "not that of an HTTP proxy"])
    {
        let expected = format!("the receiver cannot be reached: the proxy {} ", proxy.url());
        assert!(line.contains(&expected) && line.contains(words) && !line.contains("canary"), "{line}");
    }
    assert_eq!((log.len(), proxy.targets().len()), (5, 5), "{log:?}");
}

#[tokio::test]
async fn a_proxy_that_says_nothing_or_is_not_there_is_named_in_time() {
    let silent = ConnectProxy::start(|_, _| Reply::Never).await;
    let receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let within = Duration::from_secs(3);
    let courier = Courier::new(within, None, by(&silent.url())).expect("a courier");
    let late = deliver(&courier, &far(&receiver)).await;
    let expected = format!("the proxy {} did not connect to {FAR}:{} in time", silent.url(), receiver.port);
    assert!(late.may_heal() && late.to_string().contains(&expected), "{late}");
    // As a receiver that hangs, so that its deliveries make room for others.
    assert!(matches!(late, Delivery::Unreachable { connected: false, .. }), "{late}");
    let nowhere = by(&format!("http://u:canary@127.0.0.1:{}", free_port()));
    // A literal address, which is refused by the kernel whatever the resolver does.
    let other = by(&format!("http://u:canary@[::1]:{}", free_port()));
    for egress in [nowhere, other] {
        let told = deliver(&self::courier(egress), &far(&receiver)).await;
        let text = told.to_string();
        assert!(
            text.contains("cannot be reached: ")
                && text.contains("cannot connect to")
                && !text.contains("canary"),
            "{text}"
        );
        assert!(told.may_heal() && matches!(told, Delivery::Unreachable { connected: false, .. }), "{text}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn the_proxy_is_asked_for_no_address_that_is_refused() {
    let proxy = ConnectProxy::open().await;
    let own = vec![OwnService { name: "Redis", host: "10.99.0.7".into(), port: 7000 }];
    let deny = parse_all("10.98.0.0/16").expect("a rule");
    let rules = Egress { own, deny, ..by(&proxy.url()) };
    for url in [
        "http://169.254.169.254/latest",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
        "http://10.98.1.2/",
        "https://[::ffff:10.98.1.2]/",
        "http://10.99.0.7:7000/",
        "http://10.1.1.1:6379/",
        "http://0.0.0.0/",
    ] {
        let refused = deliver(&courier(rules.clone()), url).await;
        assert!(matches!(refused, Delivery::Forbidden { .. }), "{url}: {refused}");
    }
    let public = Egress { openness: Openness::Public, ..rules };
    let refused = deliver(&courier(public), "http://10.1.1.1/").await;
    assert!(refused.to_string().contains("CALLBACK_POLICY=public"), "{refused}");
    assert_eq!(proxy.targets(), Vec::<String>::new());
}

#[tokio::test]
async fn a_redirect_by_a_proxy_leads_nowhere_that_it_may_not_and_elsewhere_by_the_proxy() {
    let proxy = ConnectProxy::open().await;
    let mut receiver = Receiver::start(|asked, _| match asked.path.as_str() {
        "/" => Answer::status(200),
        path => Answer::to(307, format!("http://{}/", &path[1..])),
    })
    .await;
    let port = receiver.port;
    let courier = courier(by(&proxy.url()));
    let from = async |host: &str, to: &str| {
        deliver(&courier, &format!("http://{host}:{port}/{to}")).await.to_string()
    };
    // The receiver is on the internet: it is told by its own address, and not by the proxy's.
    for to in ["10.99.0.2", "127.0.0.1", "[::1]", "localhost"] {
        let told = from("8.8.8.8", &format!("{to}:{port}")).await;
        assert!(told.contains("a receiver on the internet leads to none"), "{to}: {told}");
    }
    for host in ["8.8.8.8", FAR] {
        let told = from(host, "169.254.169.254").await;
        assert!(told.contains("which is refused: "), "{told}");
        assert!(receiver.next().await.header("host").contains(':'), "{host}");
    }
    assert!(
        !proxy.targets().iter().any(|target| target.starts_with("169.") || target.starts_with("10.99.0.2"))
    );
    assert!(from("8.8.8.8", &format!("9.9.9.9:{port}")).await.contains("status 200"));
    assert!(from(FAR, &format!("10.99.0.3:{port}")).await.contains("status 200"));
    let last: Vec<_> = proxy.targets().into_iter().rev().take(2).collect();
    assert!(last.contains(&format!("10.99.0.3:{port}")), "{last:?}");
    assert!(proxy.targets().contains(&format!("9.9.9.9:{port}")));
}

#[tokio::test]
async fn this_machine_is_reached_directly_whatever_the_proxy() {
    let proxy = ConnectProxy::start(|_, _| Reply::Say("HTTP/1.1 500 No\r\n\r\n")).await;
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let courier = courier(by(&proxy.url()));
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        assert_eq!(
            deliver(&courier, &format!("http://{host}:{}/", receiver.port)).await,
            delivered(200),
            "{host}"
        );
        receiver.next().await;
    }
    assert_eq!(proxy.targets(), Vec::<String>::new());
}

/// A real resolver is asked, and the setting is read by the real program.
#[tokio::test]
async fn on_request_the_environments_proxy_is_asked_for_each_address_of_a_name_that_was_looked_up_here() {
    let folder = certificates();
    let names =
        NameServer::start(|_| vec!["10.98.0.1".parse().expect("one"), FAR.parse().expect("one")]).await;
    let proxy = ConnectProxy::start(|asked, _| {
        if asked.target.starts_with(FAR) {
            Reply::Connect
        } else {
            Reply::Say("HTTP/1.1 502 Unreachable\r\n\r\n")
        }
    })
    .await;
    let mut receiver = receiver_that(folder.path(), "far.pem", |_, _| Answer::status(200)).await;
    let ca = folder.path().join("ca.pem").display().to_string();
    let settings = [
        ("CALLBACK_PROXY", "environment"),
        ("https_proxy", &format!("http://u:canary@127.0.0.1:{}", proxy.port)),
        ("LOG_LEVEL", "trace"),
        ("no_proxy", "test.example,127.0.0.0/8"),
        ("CALLBACK_CA_FILE", &ca),
    ];
    let notifier = Notifier::start_with("proxied", &names, &settings);
    notifier.add_for("https", "r".to_owned(), receiver.port, 1).await;
    assert_eq!(receiver.next().await.header("host"), format!("receiver.test:{}", receiver.port));
    notifier.until_ended(1, 0).await;
    let (far, mut targets) = (format!("{FAR}:{}", receiver.port), proxy.targets());
    targets.retain(|target| *target != far);
    // Resolvers sort as they like: the other one may have come first, and cost nothing but its refusal.
    assert!(targets.is_empty() || targets == [format!("10.98.0.1:{}", receiver.port)], "{targets:?}");
    let log = notifier.log();
    assert!(log.contains(&format!("callbacks by https go by the proxy {}", proxy.url())), "{log}");
    assert!(log.contains("callbacks by plain http go directly"), "{log}");
    // Nor its form for the header: "u:canary".
    assert!(!log.contains("canary") && !log.contains("dTpjYW5hcnk"), "{log}");
    assert!(proxy.asked().iter().all(|asked| asked.head.contains("Basic dTpjYW5hcnk=\r\n")));
    assert_eq!(names.asked.load(std::sync::atomic::Ordering::SeqCst), 1, "one question");
}
