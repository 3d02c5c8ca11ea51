//! `health`: asks a component on this machine how it is, for checks in places that have no other program for it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Answer;
use crate::config::Health;

/// What the answer may take in all; a check of an image has five seconds.
const WITHIN: Duration = Duration::from_secs(4);
/// How long an answer may be.
const LONGEST: u64 = 64 * 1024;

/// Asks it.
pub fn ask(asked: &Health, out: &mut impl Write) -> io::Result<Answer> {
    let Some(listens_at) = asked.listens_at else {
        if asked.if_set {
            writeln!(out, "HTTP_LISTEN is not set: there is nothing to ask")?;
            return Ok(Answer::Yes);
        }
        let why = "HTTP_LISTEN is not set: set it here and for the component, such as 127.0.0.1:9464";
        return Ok(Answer::Senseless(why.to_owned()));
    };
    let address = reached_at(listens_at);
    let path = if asked.ready { "/readyz" } else { "/healthz" };
    match answer(address, path) {
        Ok((status, text)) => {
            write!(out, "{text}")?;
            Ok(if status == 200 { Answer::Yes } else { Answer::No })
        }
        Err(error) => Ok(Answer::Unreachable(format!(
            "no component answers at http://{address}{path} (HTTP_LISTEN): {error}"
        ))),
    }
}

/// Where a listener at an address is reached from this machine.
fn reached_at(listens_at: SocketAddr) -> SocketAddr {
    let ip = match listens_at.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listens_at.port())
}

/// The status and the body of a GET.
fn answer(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let deadline = Instant::now() + WITHIN;
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut part)? {
            0 => break,
            length => all.extend_from_slice(&part[..length]),
        }
        if all.len() as u64 > LONGEST {
            return Err(io::Error::other("the answer is too long"));
        }
    }
    read(&String::from_utf8_lossy(&all)).ok_or_else(|| io::Error::other("that is no answer of HTTP"))
}

/// The status and the body of an answer whose end is that of the connection (RFC 9112).
fn read(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.lines().next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn asked(listens_at: Option<SocketAddr>, ready: bool, if_set: bool) -> (Answer, String) {
        let mut out = Vec::new();
        let answer = ask(&Health { ready, if_set, listens_at }, &mut out).expect("written");
        (answer, String::from_utf8(out).expect("text"))
    }

    /// A server that says something to the first who asks, and what it was asked.
    fn server(says: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.push(byte[0]);
            }
            stream.write_all(says.as_bytes()).expect("it listens");
            String::from_utf8(request).expect("text")
        });
        (address, asked)
    }

    #[test]
    fn it_asks_for_life_or_readiness_and_passes_the_answer_on() {
        let (address, request) = server("HTTP/1.1 200 OK\r\nX: y\r\n\r\nalive\n");
        assert_eq!(asked(Some(address), false, false), (Answer::Yes, "alive\n".to_owned()));
        assert!(request.join().expect("it was asked").starts_with("GET /healthz HTTP/1.1\r\n"));
        let (address, request) = server("HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready: redis\n");
        assert_eq!(asked(Some(address), true, true), (Answer::No, "not ready: redis\n".to_owned()));
        assert!(request.join().expect("it was asked").starts_with("GET /readyz HTTP/1.1\r\n"));
    }

    #[test]
    fn nobody_there_nonsense_and_nowhere_to_ask_are_told_apart() {
        let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let (answer, _) = asked(Some(gone), false, true);
        assert!(matches!(&answer, Answer::Unreachable(why) if why.contains("/healthz")), "{answer:?}");
        let (address, _asked) = server("SSH-2.0-x\r\n");
        let (answer, _) = asked(Some(address), false, false);
        assert!(
            matches!(&answer, Answer::Unreachable(why) if why.contains("no answer of HTTP")),
            "{answer:?}"
        );
        assert!(matches!(asked(None, false, false).0, Answer::Senseless(_)));
        assert_eq!(asked(None, false, true).0, Answer::Yes);
    }

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        for (listens, reached) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("192.0.2.1:3", "192.0.2.1:3")]
        {
            let [listens, reached] = [listens, reached].map(|text| text.parse::<SocketAddr>().expect(text));
            assert_eq!(reached_at(listens), reached);
        }
    }
}
