//! Connecting to a receiver: its addresses are looked up once, each is checked, and only those are dialled that passed.
//!
//! This is the only way from a URL to a socket, for names and for literal addresses alike, so the address that was
//! checked is the address that is dialled: there is no second look-up that could answer otherwise. A proxy is told that
//! address, and looks up nothing. A pooled connection was made here, too, for the same scheme, host and port.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use hyper::Uri;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tower_service::Service;

use super::link::{Link, Way, direct, first};
use super::lookups::Lookups;
use super::tunnel;
use super::undialled::DialError;
use crate::egress::{Egress, Proxy, Reach, Refusal, meant, reach};

/// Which part of the time for all of a delivery a proxy has at most. Less than all, so that it is named where it hangs.
const PART_OF_PROXY: f64 = 0.875;
/// Which part of that time there is at most to get a connection to the proxy itself. The rest is for its own to the
/// receiver.
const PART_TO_PROXY: f64 = 0.5;
/// How many addresses of one host are tried.
const MOST_ADDRESSES: usize = 16;

/// Connects to receivers. Clones share the bound on look-ups.
#[derive(Clone)]
pub(super) struct Dialler {
    egress: Arc<Egress>,
    within: Duration,
    lookups: Lookups,
}

impl Dialler {
    /// A dialler that keeps the rules and gives up a connection after a time.
    pub fn new(egress: Arc<Egress>, within: Duration) -> Self {
        Self { egress, within, lookups: Lookups::default() }
    }

    /// The same by other rules.
    pub fn with_rules(&self, egress: Arc<Egress>) -> Self {
        Self { egress, ..self.clone() }
    }

    async fn dial(self, uri: Uri) -> Result<Link, DialError> {
        let until = Instant::now() + self.within.mul_f64(PART_OF_PROXY);
        let host = uri.host().unwrap_or_default().to_owned();
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        self.egress.check_host(is_https, &host, port)?;
        let connecting = async {
            let found = self.addresses(&host).await?;
            let checked = self.checked(&host, port, found).await?;
            let proxy = |address: SocketAddr| self.egress.proxies.way(is_https, &host, address.ip(), port);
            let way = |address| proxy(address).map_or(Way::Direct, |_| Way::ByProxy);
            let gate = Mutex::new(());
            first(checked, way, |address| self.connect(address, proxy(address), until, &gate)).await
        };
        match timeout(self.within, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(DialError::TooSlow { host }),
        }
    }

    /// Connects to an address that may be dialled. The gate lets one at a time connect to the proxy, so that a dead one is
    /// not dialled for each address.
    async fn connect(
        &self,
        address: SocketAddr,
        proxy: Option<&Proxy>,
        until: Instant,
        gate: &Mutex<()>,
    ) -> Result<Link, DialError> {
        let Some(proxy) = proxy else { return Ok(Link::new(direct(address).await?, address.ip())) };
        let turn = gate.lock().await;
        let reached_by = until.min(Instant::now() + self.within.mul_f64(PART_OF_PROXY * PART_TO_PROXY));
        let stream = timeout_at(reached_by, self.connect_to_proxy(proxy)).await;
        let stream = stream.unwrap_or_else(|_| {
            let why = Box::new(DialError::TooSlow { host: proxy.host().to_owned() });
            Err(DialError::NoWayToProxy { proxy: proxy.clone(), why })
        })?;
        drop(turn);
        let authorization = proxy.authorization();
        match timeout_at(until, tunnel::open(stream, address, authorization.as_deref())).await {
            Ok(Ok(stream)) => Ok(Link::new(stream, address.ip())),
            Ok(Err(problem)) => Err(DialError::NoTunnel { proxy: proxy.clone(), problem }),
            Err(_) => Err(DialError::SlowProxy { proxy: proxy.clone(), address }),
        }
    }

    /// A proxy is the operator's choice and no callback: its addresses are dialled whatever the rules.
    pub async fn connect_to_proxy(&self, proxy: &Proxy) -> Result<TcpStream, DialError> {
        let connecting = async {
            let found = self.addresses(proxy.host()).await?;
            let found = found.into_iter().map(|address| SocketAddr::new(address, proxy.port())).collect();
            first(found, |_| Way::Direct, direct).await
        };
        let connected = connecting.await;
        connected.map_err(|why| DialError::NoWayToProxy { proxy: proxy.clone(), why: Box::new(why) })
    }

    /// The addresses that may be dialled; those that may not are left out, and where none is left the first refusal
    /// counts.
    async fn checked(&self, host: &str, port: u16, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, DialError> {
        let (mut passed, mut refused) = (Vec::new(), None);
        for (address, refusal) in self.verdicts(host, port, found).await? {
            match refusal {
                None => passed.push(SocketAddr::new(address, port)),
                Some(refusal) => {
                    tracing::debug!(host, %address, %refusal, "an address of a receiver is left out");
                    refused.get_or_insert(refusal);
                }
            }
        }
        match refused {
            Some(refusal) if passed.is_empty() && is_fixed(host) => Err(refusal.into()),
            Some(refusal) if passed.is_empty() => Err(DialError::RefusedNow(refusal)),
            _ => Ok(passed),
        }
    }

    /// The addresses of a host, each with why it is not dialled, if it is not.
    pub async fn verdicts_of(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<(IpAddr, Option<Refusal>)>, DialError> {
        let found = self.addresses(host).await?;
        self.verdicts(host, port, found).await
    }

    async fn verdicts(
        &self,
        host: &str,
        port: u16,
        found: Vec<IpAddr>,
    ) -> Result<Vec<(IpAddr, Option<Refusal>)>, DialError> {
        let own = self.own_addresses(port).await?;
        let verdict = |address: IpAddr| {
            // What is dialled is what was checked: an IPv4 address in its IPv6 form is dialled as the former.
            let address = address.to_canonical();
            let checked = self.egress.check_address(host, address, port);
            (address, checked.and_then(|()| check_own(&own, host, address, port)).err())
        };
        Ok(found.into_iter().map(verdict).collect())
    }

    /// Where our own services are that have this port. It is looked up anew each time, which is rare: callbacks go
    /// to other ports. Where it cannot be told nothing is dialled.
    async fn own_addresses(&self, port: u16) -> Result<Vec<(&'static str, IpAddr)>, DialError> {
        let mut own = Vec::new();
        for service in self.egress.own_at(port) {
            let found = self.addresses(&service.host).await?;
            own.extend(found.into_iter().map(|address| (service.name, address.to_canonical())));
        }
        Ok(own)
    }

    /// The addresses of a host, each once: of a literal address that one.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DialError> {
        if let Some(address) = literal(host) {
            return Ok(vec![address]);
        }
        if is_fixed(host) {
            // No resolver is asked (RFC 6761, section 6.3); some know the shortest form only.
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let unknown = |source| DialError::Unknown { host: host.to_owned(), source };
        let mut found = self.lookups.addresses(host).await.map_err(unknown)?;
        let mut seen = std::collections::HashSet::new();
        found.retain(|address| seen.insert(*address));
        found.truncate(MOST_ADDRESSES);
        if found.is_empty() {
            return Err(unknown(io::Error::other("it has none")));
        }
        Ok(found)
    }
}

/// The address that a host is, where it is one.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether a host has the same addresses at all times.
fn is_fixed(host: &str) -> bool {
    let name = host.trim_end_matches('.');
    literal(host).is_some() || name == "localhost" || name.ends_with(".localhost")
}

impl fmt::Debug for Dialler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dialler").finish_non_exhaustive()
    }
}

impl Service<Uri> for Dialler {
    type Response = Link;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().dial(uri))
    }
}

/// Whether an address is that of a service of our own. One on this machine is reached by any address of this machine.
fn check_own(own: &[(&'static str, IpAddr)], host: &str, address: IpAddr, port: u16) -> Result<(), Refusal> {
    let reached = meant(address);
    let is_own =
        |service: IpAddr| service == reached || (is_this_machine(service) && is_this_machine(reached));
    let name = match (own.iter().find(|(_, service)| is_own(meant(*service))), own.first()) {
        (Some((name, _)), _) => format!("the runner's own {name}"),
        // The engine's networks and port forwards give a service addresses that cannot be told from here.
        (None, Some((name, _))) if reach(reached) != Reach::Public => {
            format!("maybe the runner's own {name}")
        }
        _ => return Ok(()),
    };
    Err(Refusal::Service { address, host: host.to_owned(), port, name })
}

/// Whether an address is this machine's: only such a one can be bound.
fn is_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || std::net::UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::OwnService;
    use tokio::net::TcpListener;

    fn dialler(egress: Egress) -> Dialler {
        Dialler::new(Arc::new(egress), Duration::from_secs(20))
    }

    async fn listening() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        (listener, port)
    }

    #[tokio::test]
    async fn refused_addresses_of_a_name_are_left_out_and_the_others_dialled() {
        let rules =
            Egress { deny: crate::egress::parse_all("127.0.0.9").expect("a rule"), ..Egress::default() };
        let found = ["127.0.0.9", "169.254.1.1", "127.0.0.1", "::ffff:10.0.0.1"];
        let found = found.map(|ip| ip.parse().expect("an address")).to_vec();
        let passed =
            dialler(rules.clone()).checked("h", 80, found.clone()).await.expect("two may be dialled");
        assert_eq!(
            passed.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1:80", "10.0.0.1:80"]
        );
        let refused = dialler(rules).checked("h", 80, found[..2].to_vec()).await.expect_err("none is left");
        assert!(matches!(refused, DialError::RefusedNow(Refusal::Denied { .. })), "{refused}");
    }

    #[tokio::test]
    async fn what_an_address_is_refused_for_is_final_and_what_a_name_resolved_to_may_be_mended() {
        let rules =
            || Egress { deny: crate::egress::parse_all("127.0.0.0/8").expect("a rule"), ..Egress::default() };
        let found: Vec<IpAddr> = vec!["127.0.0.1".parse().expect("an address")];
        for (host, is_final) in [("127.0.0.1", true), ("a.localhost.", true), ("lms.example.org", false)] {
            let refused = dialler(rules()).checked(host, 80, found.clone()).await.expect_err(host);
            assert_eq!(matches!(refused, DialError::Refused(_)), is_final, "{host}: {refused}");
            assert!(refused.to_string().contains("CALLBACK_DENY"), "{host}: {refused}");
        }
    }

    #[tokio::test]
    async fn our_own_service_is_refused_by_every_address_of_this_machine() {
        let (listener, port) = listening().await;
        let own = vec![OwnService { name: "Redis", host: "localhost".into(), port }];
        let dialler = dialler(Egress { own, ..Egress::default() });
        for host in ["127.0.0.1", "127.9.9.9", "localhost", "a.localhost.", "[::1]", "[::ffff:127.0.0.1]"] {
            let uri = format!("http://{host}:{port}/").parse().expect("a URI");
            let refused = dialler.clone().dial(uri).await.expect_err(host);
            assert!(refused.to_string().contains("is the runner's own Redis"), "{host}: {refused}");
        }
        // By which addresses else it can be reached cannot be told from here.
        for host in ["10.1.2.3", "192.168.0.1", "[fd00::1]"] {
            let uri = format!("http://{host}:{port}/").parse().expect("a URI");
            let refused = dialler.clone().dial(uri).await.expect_err(host);
            assert!(refused.to_string().contains("maybe the runner's own Redis"), "{host}: {refused}");
        }
        let accepted = timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(accepted.is_err(), "nobody connected");
        // Another port of the same machine is somebody else's.
        let (_other, free) = listening().await;
        let uri = format!("http://127.0.0.1:{free}/").parse().expect("a URI");
        assert!(dialler.dial(uri).await.is_ok());
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_no_refusal() {
        let uri = "http://no-such-host.invalid/".parse().expect("a URI");
        let error = dialler(Egress::default()).dial(uri).await.expect_err("unknown");
        assert!(matches!(error, DialError::Unknown { .. }), "{error}");
    }

    /// Dials a receiver with three addresses by a proxy, in eight seconds of the clock.
    async fn refused_by(lookups: Lookups, proxy: &str) -> String {
        let proxies = crate::egress::Proxies { for_http: Proxy::parse(proxy).ok(), ..Default::default() };
        let egress = Arc::new(Egress { proxies, ..Egress::default() });
        let dialler = Dialler { egress, within: Duration::from_secs(8), lookups };
        let uri = "http://receiver.example/".parse().expect("a URI");
        dialler.dial(uri).await.expect_err("there is no way to it").to_string()
    }

    fn far() -> Vec<IpAddr> {
        ["10.99.0.1", "10.99.0.2", "10.99.0.3"].map(|ip| ip.parse().expect("an address")).to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_whose_name_is_looked_up_for_too_long_is_told_as_not_reached() {
        let lookups = Lookups::with(Arc::new(|name| {
            Box::pin(async move {
                if name == "hangs" {
                    std::future::pending::<()>().await;
                }
                Ok(far())
            })
        }));
        let began = Instant::now();
        let told = refused_by(lookups, "http://u:canary@hangs:3128").await;
        assert_eq!(
            told,
            "the proxy http://hangs:3128 cannot be reached: no address of hangs took the connection in time"
        );
        // Not once for each address.
        assert_eq!(began.elapsed().as_millis(), 3500);
    }

    #[tokio::test]
    async fn a_proxy_that_drops_what_comes_is_dialled_once_at_a_time_and_told_as_not_reached() {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let listener = socket.listen(1).expect("it listens");
        let at = listener.local_addr().expect("bound");
        // Nobody takes these out; once there is no room left the kernel drops what comes.
        let mut filling = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(900), TcpStream::connect(at)).await {
            filling.push(stream.expect("it listens"));
        }
        let lookups = Lookups::with(Arc::new(|_| Box::pin(async { Ok(far()) })));
        let proxy = format!("http://127.0.0.1:{}", at.port());
        let dialling = refused_by(lookups, &proxy);
        let watching = async {
            let mut most = 0;
            loop {
                most = most.max(unanswered(at.port()));
                assert!(most <= 1, "{most} connections to one proxy");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let told = tokio::select! {
            told = dialling => told,
            never = watching => never,
        };
        assert!(told.starts_with(&format!("the proxy {proxy} cannot be reached: no address of")), "{told}");
    }

    /// How many connections to a port of this machine wait for its answer (proc(5), `/proc/net/tcp`).
    fn unanswered(port: u16) -> usize {
        let sockets = std::fs::read_to_string("/proc/net/tcp").expect("a table of sockets");
        let waits = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.get(2).is_some_and(|to| to.ends_with(&format!(":{port:04X}")))
                && words.get(3) == Some(&"02")
        };
        sockets.lines().filter(|line| waits(line)).count()
    }
}
