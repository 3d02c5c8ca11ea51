//! What systemd is told, where it asks for it (`Type=notify`): ready, what the service does, alive, stopping.
//!
//! The protocol is that of `sd_notify`: datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names,
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::heartbeat::{Beat, Hearts, Standing, Standings};

/// How often the status is told anew at most, and a message that did not go through is sent again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How much of a status is shown: it is one line of `systemctl status`.
const LONGEST_STATUS: usize = 500;

/// The service manager that started this process.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names, given a way to look up a variable.
    ///
    /// # Errors
    /// There is one, and it cannot be told anything: the address is of a kind that this program does not know.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Option<Self>> {
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Ok(None) };
        let address = address(&name)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        // Meant for another process, such as a shell that started this one.
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog =
            number("WATCHDOG_USEC").filter(|time| is_meant && *time > 0).map(Duration::from_micros);
        Ok(Some(Self { socket, address, watchdog }))
    }

    /// Tells how the components are until it is dropped: ready once all of them take work, alive for as long as all
    /// loops are well, stopping once that is asked for.
    pub async fn follow(self, hearts: Hearts, components: Vec<&'static str>, stop: CancellationToken) {
        let mut standings = hearts.standings();
        let mut looks = interval(self.watchdog.map_or(LOOK_EVERY, |time| (time / 4).min(LOOK_EVERY)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Told::default();
        loop {
            let (now, is_stopping) = (Instant::now(), stop.is_cancelled());
            let message = told.message(&Situation {
                standings: &standings.borrow_and_update(),
                beats: &hearts.snapshot(),
                in_hand: hearts.jobs_in_hand(),
                components: &components,
                is_stopping,
                alive_is_due: self
                    .watchdog
                    .is_some_and(|time| told.alive.is_none_or(|last| now >= last + time / 4)),
            });
            if let Some(message) = message {
                match self.socket.send_to_addr(message.text().as_bytes(), &self.address) {
                    Ok(_) => told.went_through(message, now),
                    // Sent again at the next look: the queue of the manager is full, or it is just being restarted.
                    Err(error) => debug!(%error, "the service manager could not be told"),
                }
            }
            tokio::select! {
                _ = looks.tick() => {}
                Ok(()) = standings.changed() => {}
                () = stop.cancelled(), if !is_stopping => {}
            }
        }
    }
}

/// Starts telling the service manager that the environment names, if it names one.
pub fn tell_in_background(hearts: &Hearts, components: Vec<&'static str>, stop: &CancellationToken) {
    match ServiceManager::of_environment(|name| std::env::var_os(name)) {
        Ok(Some(manager)) => drop(tokio::spawn(manager.follow(hearts.clone(), components, stop.clone()))),
        Ok(None) => {}
        Err(error) => {
            warn!(%error, "NOTIFY_SOCKET cannot be used: the service manager is told nothing: {error}");
        }
    }
}

/// A path, or an abstract name after an `@`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "neither a path nor an abstract name (@…)")),
    }
}

/// What there is to tell of.
struct Situation<'all> {
    standings: &'all Standings,
    beats: &'all [Beat],
    in_hand: u64,
    components: &'all [&'static str],
    is_stopping: bool,
    alive_is_due: bool,
}

impl Situation<'_> {
    fn is_ready(&self) -> bool {
        self.components.iter().all(|name| self.standings.get(*name) == Some(&Standing::Taking))
    }

    /// One line: what is wrong first.
    fn status(&self) -> String {
        if self.is_stopping {
            return "stopping: hands back what is in hand".to_owned();
        }
        if let Some(ill) = self.beats.iter().find(|beat| !beat.state.is_well()) {
            let (name, doing, since) = (&ill.name, ill.doing, ill.since.as_secs() / 10 * 10);
            return format!("the loop `{name}` is stuck for more than {since} s: {doing}");
        }
        // Often all of them wait for the same.
        let mut waiting: Vec<(&str, Vec<&str>)> = Vec::new();
        for name in self.components {
            let why = match self.standings.get(*name) {
                Some(Standing::Taking) => continue,
                Some(Standing::Waiting(why)) => why,
                None => "starting",
            };
            match waiting.iter_mut().find(|(known, _)| *known == why) {
                Some((_, names)) => names.push(name),
                None => waiting.push((why, vec![name])),
            }
        }
        let waiting: Vec<_> =
            waiting.iter().map(|(why, names)| format!("{}: {why}", names.join(", "))).collect();
        if waiting.is_empty() {
            return format!("takes work; jobs in hand: {}", self.in_hand);
        }
        waiting.join("; ")
    }
}

/// What goes into one datagram.
#[derive(Debug, PartialEq)]
struct Message {
    ready: bool,
    stopping: bool,
    alive: bool,
    status: Option<String>,
}

impl Message {
    fn text(&self) -> String {
        let mut text = String::new();
        for (told, line) in
            [(self.ready, "READY=1\n"), (self.stopping, "STOPPING=1\n"), (self.alive, "WATCHDOG=1\n")]
        {
            text.push_str(if told { line } else { "" });
        }
        if let Some(status) = &self.status {
            let _ = writeln!(text, "STATUS={status}");
        }
        text
    }
}

/// What the service manager was told.
#[derive(Debug, Default)]
struct Told {
    ready: bool,
    stopping: bool,
    status: String,
    alive: Option<Instant>,
}

impl Told {
    /// What it is to be told now, if anything.
    fn message(&self, now: &Situation) -> Option<Message> {
        let status: String = now.status().chars().take(LONGEST_STATUS).collect();
        let status = status.replace(char::is_control, " ");
        let message = Message {
            ready: !self.ready && !now.is_stopping && now.is_ready(),
            stopping: !self.stopping && now.is_stopping,
            alive: now.alive_is_due && now.beats.iter().all(|beat| beat.state.is_well()),
            status: (status != self.status).then_some(status),
        };
        (message.ready || message.stopping || message.alive || message.status.is_some()).then_some(message)
    }

    fn went_through(&mut self, message: Message, now: Instant) {
        self.ready |= message.ready;
        self.stopping |= message.stopping;
        if message.alive {
            self.alive = Some(now);
        }
        if let Some(status) = message.status {
            self.status = status;
        }
    }
}

#[cfg(test)]
mod tests;
