//! A connection to a receiver, and the first of several addresses that gives one.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::undialled::DialError;

/// How long one address has until the next one is tried beside it (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);
/// The same by a proxy, which takes longer and for which each is two connections: the most that is recommended there.
const HEAD_START_BY_PROXY: Duration = Duration::from_secs(2);

/// A connection to a receiver, directly or by a proxy.
#[derive(Debug)]
pub(super) struct Link {
    stream: TokioIo<TcpStream>,
    receiver: IpAddr,
}

/// The receiver's address, on each answer that comes over a [`Link`]: the one that was checked, not that of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceiverAt(pub IpAddr);

impl Link {
    /// A stream that leads to that address.
    pub fn new(stream: TcpStream, receiver: IpAddr) -> Self {
        Self { stream: TokioIo::new(stream), receiver }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TokioIo<TcpStream>> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(ReceiverAt(self.receiver))
    }
}

impl Read for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, into)
    }
}

impl Write for Link {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, bytes)
    }
}

/// A connection to an address, by nothing but the network.
pub(super) async fn direct(address: SocketAddr) -> Result<TcpStream, DialError> {
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    connected.await.map_err(|source| DialError::Failed { address, source })
}

/// Connects to the first address that takes it: in their order, the families in turn, each a little after the one
/// before, and at once where that failed. What is wrong with a proxy ends all attempts by it, and no direct one.
pub(super) async fn first<T, F: Future<Output = Result<T, DialError>>>(
    addresses: Vec<SocketAddr>,
    way: impl Fn(SocketAddr) -> Way,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, DialError> {
    let mut waiting = VecDeque::from(in_turn(addresses));
    let (mut direct, mut by_proxy) = (FuturesUnordered::new(), FuturesUnordered::new());
    let mut last = None;
    let mut lead = Duration::ZERO;
    loop {
        if let Some(address) = waiting.pop_front() {
            let trying = match way(address) {
                Way::Direct => &direct,
                Way::ByProxy => &by_proxy,
            };
            trying.push(connect(address));
            lead = way(address).head_start();
        }
        let tried = tokio::select! {
            Some(tried) = direct.next() => tried,
            Some(tried) = by_proxy.next() => tried,
            () = sleep(lead), if !waiting.is_empty() => continue,
            else => return Err(last.unwrap_or_else(|| DialError::TooSlow { host: String::new() })),
        };
        match tried {
            Ok(connected) => return Ok(connected),
            Err(error) => {
                if error.is_of_all_by_proxy() {
                    by_proxy.clear();
                    waiting.retain(|address| way(*address) == Way::Direct);
                }
                last = Some(error);
            }
        }
    }
}

/// How an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    /// By the proxy; there is one for all addresses of a callback that are not direct.
    ByProxy,
}

impl Way {
    /// How long such an attempt has until the next address is tried beside it.
    fn head_start(self) -> Duration {
        match self {
            Self::Direct => HEAD_START,
            Self::ByProxy => HEAD_START_BY_PROXY,
        }
    }
}

/// One family after the other, beginning with that of the first address, as the resolver sorted them.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (ours, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut others = others.into_iter();
    let mut turns = Vec::new();
    for address in ours {
        turns.push(address);
        turns.extend(others.next());
    }
    turns.extend(others);
    turns
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::callback::tunnel::{Declined, TunnelError};
    use crate::egress::Proxy;

    #[test]
    fn the_families_take_turns_and_the_first_goes_first() {
        let addresses = |text: &str| {
            text.split(' ').map(|ip| SocketAddr::new(ip.parse().expect(ip), 1)).collect::<Vec<_>>()
        };
        assert_eq!(in_turn(addresses("::1 ::2 ::3 1.1.1.1")), addresses("::1 1.1.1.1 ::2 ::3"));
        assert_eq!(in_turn(addresses("1.1.1.1 ::1 ::2 ::3")), addresses("1.1.1.1 ::1 ::2 ::3"));
        assert!(in_turn(Vec::new()).is_empty());
    }

    #[tokio::test]
    async fn the_address_that_answers_is_taken_though_others_come_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        // Nobody listens at the first two; the third is refused at once or never answers, as the machine has it.
        let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"];
        let addresses = addresses.map(|ip| SocketAddr::new(ip.parse().expect("an address"), port)).to_vec();
        let stream = first(addresses, |_| Way::Direct, direct).await.expect("one listens");
        assert_eq!(stream.peer_addr().expect("connected").ip().to_string(), "127.0.0.1");
    }

    #[tokio::test]
    async fn a_proxy_that_wants_other_credentials_is_not_asked_for_the_next_address_and_any_other_refusal_is()
    {
        let addresses: Vec<SocketAddr> =
            ["10.0.0.1:1", "10.0.0.2:1"].map(|text| text.parse().expect(text)).to_vec();
        for (status, expected) in [(407, 1), (403, 2), (502, 2)] {
            let asked = std::cell::Cell::new(0);
            let refuse = |address| {
                asked.set(asked.get() + 1);
                let declined = Declined { status, reason: "No".to_owned() };
                let proxy = Proxy::parse("http://p:1").expect("a proxy");
                std::future::ready(Err::<(), _>(DialError::NoTunnel {
                    proxy,
                    problem: TunnelError::Declined { address, declined },
                }))
            };
            let refused = first(addresses.clone(), |_| Way::ByProxy, refuse).await.expect_err("refused");
            assert_eq!(asked.get(), expected, "{refused}");
            assert!(refused.to_string().contains(&format!("10.0.0.{expected}:1: {status} No")), "{refused}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_proxy_ends_what_goes_by_it_and_nothing_that_goes_directly() {
        let of = |text: &str| text.split(' ').map(|it| it.parse().expect(it)).collect::<Vec<SocketAddr>>();
        let way = |address: SocketAddr| {
            if address.ip().to_string().starts_with("10.") { Way::Direct } else { Way::ByProxy }
        };
        let proxy = || Proxy::parse("http://p:1").expect("a proxy");
        let unreachable = |address: SocketAddr| DialError::NoWayToProxy {
            proxy: proxy(),
            why: Box::new(DialError::TooSlow { host: address.to_string() }),
        };
        let nobody_known = |address: SocketAddr| DialError::NoTunnel {
            proxy: proxy(),
            problem: TunnelError::Declined {
                address,
                declined: Declined { status: 407, reason: "No".to_owned() },
            },
        };
        let errors: [&dyn Fn(SocketAddr) -> DialError; 2] = [&unreachable, &nobody_known];
        for error in errors {
            let asked = std::cell::RefCell::new(Vec::new());
            let connect = |address: SocketAddr| {
                asked.borrow_mut().push(address);
                let tried = if way(address) == Way::Direct { Ok(address) } else { Err(error(address)) };
                std::future::ready(tried)
            };
            let reached = first(of("8.8.8.1:1 8.8.8.2:1 8.8.8.3:1 10.0.0.1:1"), way, connect).await;
            assert_eq!(reached.expect("one is direct"), of("10.0.0.1:1")[0]);
            assert_eq!(*asked.borrow(), of("8.8.8.1:1 10.0.0.1:1"));
            // All sixteen by it: it is asked once.
            asked.borrow_mut().clear();
            let all = (1..=16).map(|last| SocketAddr::from(([8, 8, 8, last], 1))).collect();
            first(all, way, connect).await.expect_err("there is no other way");
            assert_eq!(asked.borrow().len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_direct_attempt_goes_on_when_the_proxy_fails_and_those_by_the_proxy_end() {
        let address = |text: &str| text.parse::<SocketAddr>().expect(text);
        let addresses = ["10.0.0.1:1", "8.8.8.1:1", "8.8.8.2:1"].map(address).to_vec();
        let way = |at: SocketAddr| if at == address("10.0.0.1:1") { Way::Direct } else { Way::ByProxy };
        let connect = async |at: SocketAddr| {
            let takes = if at == address("8.8.8.1:1") { 5 } else { 60 };
            sleep(Duration::from_secs(takes)).await;
            match way(at) {
                Way::Direct => Ok(at),
                Way::ByProxy if takes == 60 => panic!("{at} was given up"),
                Way::ByProxy => Err(DialError::NoWayToProxy {
                    proxy: Proxy::parse("http://p:1").expect("a proxy"),
                    why: Box::new(DialError::TooSlow { host: "p".to_owned() }),
                }),
            }
        };
        assert_eq!(first(addresses, way, connect).await.expect("it answers"), address("10.0.0.1:1"));
    }
}
