//! The server by itself: what it answers to whom, and that it answers while nothing else moves.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::heartbeat;

/// A server that watches a process without Redis and Docker.
struct Served {
    address: SocketAddr,
    hearts: Hearts,
    stop: CancellationToken,
    serving: Serving,
}

fn served() -> Served {
    let (hearts, stop) = (Hearts::default(), CancellationToken::new());
    let listening = listen(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = listening.0.local_addr().expect("it is bound");
    let watched = Watched { component: Component::All, components: Vec::new(), redis: None, docker: None };
    let serving = listening.serve(watched, &hearts, &stop).expect("a thread");
    Served { address, hearts, stop, serving }
}

/// Sends the head of a request; gives all that comes back.
fn asked(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.write_all(format!("{head}\r\nHost: h\r\n\r\n").as_bytes()).expect("it is read");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn each_path_and_method_has_its_answer() {
    let served = served();
    for (request, begins, holds) in [
        ("GET /healthz HTTP/1.1", "HTTP/1.1 200 OK", "\r\n\r\nalive\n"),
        ("GET /readyz HTTP/1.1", "HTTP/1.1 200 OK", "ready\n[+] process\n"),
        ("GET /readyz HTTP/1.1\r\nAccept: application/json", "HTTP/1.1 200 OK", "\"ready\":true"),
        (
            "GET /metrics HTTP/1.1",
            "HTTP/1.1 200 OK",
            "content-type: text/plain; version=0.0.4; charset=utf-8",
        ),
        ("GET /metrics?a=b HTTP/1.1\r\nAccept: application/openmetrics-text", "HTTP/1.1 200 OK", "\n# EOF\n"),
        ("POST /metrics HTTP/1.1", "HTTP/1.1 405 Method Not Allowed", "allow: GET, HEAD"),
        ("GET / HTTP/1.1", "HTTP/1.1 404 Not Found", "there are /metrics, /healthz and /readyz"),
        ("GET /metrics/ HTTP/1.1", "HTTP/1.1 404 Not Found", "nothing here"),
        ("nonsense", "HTTP/1.1 400 Bad Request", ""),
    ] {
        let text = asked(served.address, request);
        assert!(text.starts_with(begins) && text.contains(holds), "{request}: {text}");
    }
    let head = asked(served.address, "HEAD /metrics HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(str::parse::<usize>);
    assert!(length.is_some_and(|length| length.is_ok_and(|length| length > 1000)), "{head}");
}

#[test]
fn a_stop_makes_it_unready_at_once_and_it_answers_until_it_is_closed() {
    let served = served();
    served.stop.cancel();
    let text = asked(served.address, "GET /readyz HTTP/1.1");
    assert!(
        text.starts_with("HTTP/1.1 503") && text.contains("not ready: process\n[-] process: stopping"),
        "{text}"
    );
    assert!(asked(served.address, "GET /metrics HTTP/1.1").contains("\ncorrection_runner_ready 0\n"));
    let address = served.address;
    served.serving.close();
    assert!(TcpStream::connect(address).is_err(), "the socket is closed");
}

#[tokio::test]
async fn it_answers_while_the_executor_is_stuck_and_names_the_loop() {
    let served = served();
    let (address, hearts) = (served.address, served.hearts.clone());
    let looked = std::thread::spawn(move || {
        loop {
            let text = asked(address, "GET /readyz HTTP/1.1");
            if text.contains("[-] loop inner: stuck") {
                return text;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let stuck = hearts.loop_of("outer", async {
        let inner = heartbeat::spawn("inner", &CancellationToken::new(), async move {
            // This blocks the only thread of the test's executor.
            let text = looked.join().expect("it looked");
            assert!(
                text.starts_with("HTTP/1.1 503") && text.contains("its own work, without ever waiting"),
                "{text}"
            );
        });
        inner.await.expect("it ends");
    });
    stuck.await;
}

#[test]
fn connections_that_say_nothing_are_cut_off_and_keep_others_waiting_no_longer() {
    let served = served();
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(served.address).expect("a connection")).collect();
    assert!(asked(served.address, "GET /healthz HTTP/1.1").contains("alive"));
    for mut stream in silent.into_iter().take(10) {
        let mut bytes = Vec::new();
        // Closed or reset, but ended by the other side.
        let _ = stream.read_to_end(&mut bytes);
    }
}

#[test]
fn an_address_that_is_in_use_or_not_ours_is_told_with_the_name_of_the_setting() {
    let first = listen(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = first.0.local_addr().expect("it is bound");
    let error = listen(address).expect_err("it is in use");
    assert!(
        error.may_pass() && error.to_string().starts_with(&format!("HTTP_LISTEN: {address} is in use")),
        "{error}"
    );
    let error = listen(([192, 0, 2, 1], 9464).into()).expect_err("it is not ours");
    assert!(
        !error.may_pass() && error.to_string().starts_with("HTTP_LISTEN: cannot listen at 192.0.2.1"),
        "{error}"
    );
}
