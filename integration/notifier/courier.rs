//! The HTTP client alone, against real receivers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use correction_runner::callback::{Courier, Delivery};
use correction_runner::egress::Egress;

use super::receiver::{Answer, Receiver};
use crate::support::redis::free_port;

pub const TIMEOUT: Duration = Duration::from_secs(20);

pub fn courier() -> Courier {
    Courier::new(TIMEOUT, None, Egress::default()).expect("a courier")
}

pub async fn deliver(courier: &Courier, url: &str) -> Delivery {
    courier.deliver(url, "id-1", Bytes::from_static(b"{\"grade\":1}")).await.delivery
}

pub fn delivered(status: u16) -> Delivery {
    Delivery::Delivered { status, answer: String::new() }
}

#[tokio::test]
async fn a_result_is_posted_with_its_headers_and_connections_are_used_again() {
    let mut receiver =
        Receiver::start(|_, count| Answer::status(if count % 2 == 0 { 200 } else { 204 })).await;
    let courier = courier();
    assert_eq!(deliver(&courier, &receiver.url("/a?b=c#d")).await, delivered(200));
    let asked = receiver.next().await;
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/a?b=c"));
    assert_eq!(asked.body, "{\"grade\":1}");
    let expected = [
        ("content-type", "application/json"),
        ("content-length", "11"),
        ("webhook-id", "id-1"),
        ("host", &format!("127.0.0.1:{}", receiver.port)),
        ("user-agent", &format!("correction-runner/{}", env!("CARGO_PKG_VERSION"))),
        ("authorization", ""),
    ];
    for (name, value) in expected {
        assert_eq!(asked.header(name), value, "{name}");
    }
    for _ in 0..10 {
        assert!(deliver(&courier, &receiver.url("/")).await.is_delivered());
        // The answer's body is read in the background; then the connection is free again.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(receiver.connections() < 6, "{} connections", receiver.connections());
}

#[tokio::test]
async fn credentials_of_the_url_become_basic_authentication() {
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let url = format!("http://us%40er:p%3Ass@127.0.0.1:{}/", receiver.port);
    assert!(deliver(&courier(), &url).await.is_delivered());
    assert_eq!(receiver.next().await.header("authorization"), "Basic dXNAZXI6cDpzcw==");
}

#[tokio::test]
async fn what_is_not_2xx_is_refused_with_the_beginning_of_the_answer() {
    let receiver = Receiver::start(|_, count| match count {
        0 => Answer::Say(503, vec![("retry-after", "30".into())], "over\nloaded \u{1b}[31m"),
        1 => Answer::Endless(500),
        _ => Answer::status(410),
    })
    .await;
    let courier = courier();
    let refused = Delivery::Refused {
        status: 503,
        retry_after: Some(Duration::from_secs(30)),
        answer: "over loaded [31m".into(),
    };
    assert_eq!(deliver(&courier, &receiver.url("/")).await, refused);
    let started = Instant::now();
    let Delivery::Refused { status: 500, answer, .. } = deliver(&courier, &receiver.url("/")).await else {
        panic!("refused")
    };
    assert_eq!(answer.len(), 1024);
    assert!(started.elapsed() < TIMEOUT / 2);
    assert_eq!(
        deliver(&courier, &receiver.url("/")).await.to_string(),
        "the receiver answered with status 410 (gone), which ends all attempts"
    );
}

#[tokio::test]
async fn an_answer_whose_body_never_ends_is_a_delivery_at_once() {
    let receiver = Receiver::start(|_, _| Answer::Endless(200)).await;
    let started = Instant::now();
    assert!(deliver(&courier(), &receiver.url("/")).await.is_delivered());
    assert!(started.elapsed() < TIMEOUT / 2);
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_in_time() {
    let receiver = Receiver::start(|_, _| Answer::Never).await;
    let courier = Courier::new(Duration::from_millis(150), None, Egress::default()).expect("a courier");
    let after = Duration::from_millis(150);
    assert_eq!(deliver(&courier, &receiver.url("/")).await, Delivery::TimedOut { after });
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_told_as_such() {
    let delivery = deliver(&courier(), &format!("http://u:secret@127.0.0.1:{}/", free_port())).await;
    assert!(delivery.may_heal());
    let text = delivery.to_string();
    assert!(text.contains("refused") && !text.contains("secret"), "{text}");
    let unknown = deliver(&courier(), "http://no-such-host.invalid/").await;
    assert!(matches!(unknown, Delivery::Unreachable { connected: false, .. }), "{unknown}");
}

#[tokio::test]
async fn what_may_have_been_received_is_not_sent_again() {
    // The second request comes on a connection that was used before.
    let mut receiver =
        Receiver::start(|_, count| if count == 0 { Answer::status(204) } else { Answer::Close }).await;
    let courier = courier();
    assert!(deliver(&courier, &receiver.url("/1")).await.is_delivered());
    let broken = deliver(&courier, &receiver.url("/2")).await;
    assert!(matches!(broken, Delivery::Unreachable { connected: true, .. }), "{broken}");
    assert_eq!((receiver.next().await.path, receiver.next().await.path), ("/1".into(), "/2".into()));
    assert!(receiver.came().is_none());
}

#[tokio::test]
async fn redirects_that_keep_the_request_are_followed_three_times() {
    let mut receiver = Receiver::start(|asked, _| match asked.path.as_str() {
        "/1" => Answer::to(307, "2".into()),
        "/2" => Answer::to(308, "/3".into()),
        "/3" => Answer::to(307, format!("http://{}/4", asked.header("host"))),
        "/get" => Answer::to(302, "http://u:secret@elsewhere.example/?secret".into()),
        "/nowhere" => Answer::to(307, "ftp://h/".into()),
        _ => Answer::status(200),
    })
    .await;
    let courier = courier();
    assert!(deliver(&courier, &receiver.url("/1")).await.is_delivered());
    for path in ["/1", "/2", "/3", "/4"] {
        let asked = receiver.next().await;
        assert_eq!((asked.path.as_str(), asked.body.as_str()), (path, "{\"grade\":1}"));
        assert_eq!((asked.method.as_str(), asked.header("webhook-id")), ("POST", "id-1"));
    }
    let text = deliver(&courier, &receiver.url("/get")).await.to_string();
    assert!(
        text.contains("status 302 and points to http://elsewhere.example/?…, which would drop"),
        "{text}"
    );
    let text = deliver(&courier, &receiver.url("/nowhere")).await.to_string();
    assert!(text.contains("not a URL that can be asked for"), "{text}");
}

#[tokio::test]
async fn a_fourth_redirect_is_one_too_many() {
    let mut receiver = Receiver::start(|_, count| Answer::to(307, format!("/{count}"))).await;
    let delivery = deliver(&courier(), &receiver.url("/")).await;
    assert!(delivery.to_string().contains("after three redirects"), "{delivery}");
    for _ in 0..4 {
        receiver.next().await;
    }
    assert!(receiver.came().is_none());
}

#[tokio::test]
async fn a_status_that_comes_just_in_time_is_delivery_although_nothing_follows_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let time_out = Duration::from_secs(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                tokio::time::sleep(time_out.mul_f64(0.97)).await;
                // A client that has given up is gone.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await;
                tokio::time::sleep(time_out).await;
            });
        }
    });
    let courier = Courier::new(time_out, None, Egress::default()).expect("a courier");
    // A busy machine may be late by itself, but not every time.
    for _ in 0..5 {
        if deliver(&courier, &url).await == delivered(200) {
            return;
        }
    }
    panic!("it was told as timed out each time");
}
