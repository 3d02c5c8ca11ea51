//! A tunnel through an HTTP proxy (RFC 9110, section 9.3.6): asked for by address, so that the proxy looks up no name.
//!
//! The answer's head is looked at before it is taken out of the socket, so that nothing is taken that follows it: those
//! are the receiver's first bytes.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a proxy's answer may be, interim ones included.
const MOST_READ: usize = 8 * 1024;
const MOST_HEADERS: usize = 64;
/// How much of a reason is told.
const MOST_TOLD: usize = 100;
/// How many ways to tell who we are.
const MOST_WAYS: usize = 4;

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    /// The proxy said no, which is not the receiver's answer.
    #[error("refused to connect to {address}: {declined}")]
    Declined { address: SocketAddr, declined: Declined },
    /// It is no HTTP proxy, or a broken one.
    #[error("did not connect to {address}: {what}")]
    NoProxy { address: SocketAddr, what: String },
    /// The connection to it broke.
    #[error("did not connect to {address}: {source}")]
    Broken { address: SocketAddr, source: io::Error },
}

/// A proxy's refusal: its status, and what it said to that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {reason}")]
pub(super) struct Declined {
    pub status: u16,
    pub reason: String,
}

impl Declined {
    /// Whether it wants to know who we are, whatever the address.
    pub fn is_about_credentials(&self) -> bool {
        self.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED.as_u16()
    }
}

/// Has the proxy at the other end connect to an address, and gives its connection back as one to there.
///
/// # Errors
/// The proxy did not.
pub(super) async fn open(
    mut proxy: TcpStream,
    address: SocketAddr,
    authorization: Option<&str>,
) -> Result<TcpStream, TunnelError> {
    let broken = |source| TunnelError::Broken { address, source };
    proxy.write_all(request(address, authorization).as_bytes()).await.map_err(broken)?;
    let mut left = MOST_READ;
    loop {
        let no_proxy = |what| TunnelError::NoProxy { address, what };
        let (length, answer) = head(&mut proxy, left).await.map_err(|error| match error {
            Unread::Broken(source) => broken(source),
            Unread::NoProxy(what) => no_proxy(what),
        })?;
        left -= length;
        match answer.status {
            200..=299 => return Ok(proxy),
            101 => return Err(no_proxy("it answered with another protocol (101)".to_owned())),
            // More is to come (RFC 9110, section 15.2).
            100..=199 => {}
            _ => return Err(TunnelError::Declined { address, declined: answer }),
        }
    }
}

fn request(address: SocketAddr, authorization: Option<&str>) -> String {
    let mut request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n");
    request.push_str(concat!("User-Agent: correction-runner/", env!("CARGO_PKG_VERSION"), "\r\n"));
    if let Some(authorization) = authorization {
        // Into a text it cannot fail.
        let _ = write!(request, "Proxy-Authorization: {authorization}\r\n");
    }
    request.push_str("\r\n");
    request
}

/// Why there is no answer.
enum Unread {
    Broken(io::Error),
    NoProxy(String),
}

/// Takes one answer's head out of the socket, and no byte more; with how long it is.
async fn head(proxy: &mut TcpStream, most: usize) -> Result<(usize, Declined), Unread> {
    let mut read = Vec::new();
    loop {
        let before = read.len();
        if before == most {
            return Err(Unread::NoProxy(format!("the head of its answer is longer than {MOST_READ} bytes")));
        }
        read.resize(most, 0);
        let seen = proxy.peek(&mut read[before..]).await.map_err(Unread::Broken)?;
        if seen == 0 {
            return Err(Unread::NoProxy("it closed the connection without an answer".to_owned()));
        }
        read.truncate(before + seen);
        let found = parsed(&read).map_err(Unread::NoProxy)?;
        let end = found.as_ref().map_or(read.len(), |(length, _)| *length);
        proxy.read_exact(&mut read[before..end]).await.map_err(Unread::Broken)?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
}

/// An answer's status and reason, with the length of its head; nothing where the end of that is still to come.
fn parsed(bytes: &[u8]) -> Result<Option<(usize, Declined)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    match answer.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => {
            let status = answer.code.unwrap_or_default();
            let mut declined = Declined { status, reason: reason(status, answer.reason.unwrap_or_default()) };
            if declined.is_about_credentials() {
                declined.reason.push_str(&wanted(answer.headers));
            }
            Ok(Some((length, declined)))
        }
        Err(error) => Err(format!("its answer is not that of an HTTP proxy ({error})")),
    }
}

fn reason(status: u16, said: &str) -> String {
    let said: String = said.chars().filter(|c| !c.is_control()).take(MOST_TOLD).collect();
    if !said.trim().is_empty() {
        return said.trim().to_owned();
    }
    let known = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.unwrap_or("without a reason").to_owned()
}

/// By which ways a proxy wants to be told who we are, and what to do about it.
fn wanted(headers: &[httparse::Header<'_>]) -> String {
    let ways: Vec<String> = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("proxy-authenticate"))
        .filter_map(|header| std::str::from_utf8(header.value).ok()?.split_whitespace().next())
        .take(MOST_WAYS)
        .map(|way| way.chars().filter(char::is_ascii_graphic).take(20).collect())
        .collect();
    if ways.is_empty() || ways.iter().any(|way| way.eq_ignore_ascii_case("basic")) {
        " (see the user and password in CALLBACK_PROXY)".to_owned()
    } else {
        format!(" (it wants {}, and only Basic can be given)", ways.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    use super::*;

    const GOOD: &[u8] = b"HTTP/1.1 200 Connection established\r\nProxy-Agent: x\r\n\r\n";

    /// What becomes of a tunnel whose proxy says this, in pieces of that many bytes, and closes.
    async fn told(said: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("bound");
        let said = said.to_vec();
        let proxy = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody comes");
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.expect("a request"));
            }
            stream.set_nodelay(true).expect("a socket");
            for piece in said.chunks(piece) {
                // Who has heard enough may be gone.
                let _ = stream.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            let _ = stream.shutdown().await;
            String::from_utf8(asked).expect("text")
        });
        let stream = TcpStream::connect(at).await.expect("it listens");
        let address = "[fd00::1]:443".parse().expect("an address");
        let opened = open(stream, address, Some("Basic canary")).await;
        let rest = match opened {
            Ok(mut stream) => {
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.expect("the rest");
                Ok(rest)
            }
            Err(error) => Err(error.to_string()),
        };
        let asked = proxy.await.expect("no panic");
        let line = "CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\nUser-Agent: correction-runner/";
        assert!(asked.starts_with(line), "{asked}");
        assert!(asked.ends_with("\r\nProxy-Authorization: Basic canary\r\n\r\n"), "{asked}");
        rest
    }

    #[tokio::test]
    async fn what_follows_the_proxys_answer_is_the_receivers_however_it_comes() {
        for said in
            [GOOD, b"HTTP/1.0 204 x\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\na: b\r\n\r\n"]
        {
            let all = [said, b"first bytes\r\n\r\n of the receiver"].concat();
            for piece in [1, 2, 7, all.len()] {
                let rest = told(&all, piece).await.expect("a tunnel");
                assert_eq!(rest, b"first bytes\r\n\r\n of the receiver", "{piece}");
            }
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_by_its_status_and_its_reason() {
        let asks = "HTTP/1.1 407 No\r\nProxy-Authenticate: ";
        let long = format!("HTTP/1.1 403 {}\r\n\r\n", "x".repeat(500));
        for (said, expected) in [
            (
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
                "refused to connect to [fd00::1]:443: 403 Forbidden",
            ),
            ("HTTP/1.1 503\r\n\r\n", "503 Service Unavailable"),
            ("HTTP/1.1 599 \r\n\r\n", "599 without a reason"),
            ("HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "302 Found"),
            (
                &format!("{asks}Basic realm=\"x\"\r\n\r\n"),
                "407 No (see the user and password in CALLBACK_PROXY)",
            ),
            (
                &format!("{asks}NTLM\r\nproxy-authenticate: Negotiate x\r\n\r\n"),
                "407 No (it wants NTLM, Negotiate, and only",
            ),
            (&long, "403 xxx"),
            ("HTTP/1.1 101 Switching\r\n\r\n", "another protocol"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "not that of an HTTP proxy"),
            ("HTTP/1.1 2000 OK\r\n\r\n", "not that of an HTTP proxy"),
            ("HTTP/1.1 200 OK\r\nhalf", "closed the connection"),
            ("", "closed the connection"),
        ] {
            let error = told(said.as_bytes(), 64).await.expect_err(said);
            assert!(error.contains(expected) && error.len() < 300, "{said:?}: {error}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_given_up() {
        let headers = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(3 * MOST_READ));
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(MOST_READ / 10);
        for said in [headers, interim] {
            let error = told(said.as_bytes(), 4000).await.expect_err("no tunnel");
            assert!(error.contains("longer than 8192 bytes"), "{error}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
        assert!(told(many.as_bytes(), 4000).await.is_err_and(|error| error.contains("too many headers")));
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_proxy_make_it_panic_and_a_head_ends_where_it_ends(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            status in 100_u16..1000,
            said in "[ -~]{0,40}",
            names in proptest::collection::vec("[A-Za-z-]{1,10}: [ -~]{0,20}", 0..5),
        ) {
            let _ = parsed(&bytes);
            let head: String = names.iter().fold(format!("HTTP/1.1 {status} {said}\r\n"), |head, name| head + name + "\r\n");
            let head = head + "\r\n";
            let all = [head.as_bytes(), &bytes].concat();
            let (length, answer) = parsed(&all).expect("an answer").expect("all of it");
            prop_assert_eq!((length, answer.status), (head.len(), status));
            for end in 0..head.len() {
                prop_assert!(parsed(&all[..end]).expect("the beginning of an answer").is_none());
            }
        }
    }
}
