//! Named places between two effects, where a test can have the process die, panic or hang.
//!
//! With the feature `crash-points` the variable `CRASH_POINTS` says what happens where:
//! `starter-created=kill:17,completer-collected=panic` kills the process (SIGKILL) the 17th time that a
//! starter has created a container, and panics the first time that a completer has read a verdict. Without
//! the feature, as in every release build, [`pass`] does nothing.

#[cfg(all(feature = "crash-points", not(debug_assertions)))]
compile_error!("the feature crash-points is for tests: a release build must not have it");

/// A place between two effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A starter has taken a pending job.
    StarterTaken,
    /// A starter has created the container.
    StarterCreated,
    /// A starter has started the container.
    StarterStarted,
    /// A starter has handed the job over.
    StarterHandedOver,
    /// A completer has taken a running job.
    CompleterTaken,
    /// A completer has read the verdict of a container that ended.
    CompleterCollected,
    /// A completer has handed the result over.
    CompleterHandedOver,
    /// A completer has removed the container.
    CompleterRemoved,
    /// A notifier has taken a result.
    NotifierTaken,
    /// A receiver has answered a notifier.
    NotifierAnswered,
    /// A notifier has settled the job of a result.
    NotifierSettled,
}

impl Point {
    /// All of them, in the order in which a correction passes them.
    pub const ALL: &[Self] = &[
        Self::StarterTaken,
        Self::StarterCreated,
        Self::StarterStarted,
        Self::StarterHandedOver,
        Self::CompleterTaken,
        Self::CompleterCollected,
        Self::CompleterHandedOver,
        Self::CompleterRemoved,
        Self::NotifierTaken,
        Self::NotifierAnswered,
        Self::NotifierSettled,
    ];

    /// Its name in `CRASH_POINTS`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StarterTaken => "starter-taken",
            Self::StarterCreated => "starter-created",
            Self::StarterStarted => "starter-started",
            Self::StarterHandedOver => "starter-handed-over",
            Self::CompleterTaken => "completer-taken",
            Self::CompleterCollected => "completer-collected",
            Self::CompleterHandedOver => "completer-handed-over",
            Self::CompleterRemoved => "completer-removed",
            Self::NotifierTaken => "notifier-taken",
            Self::NotifierAnswered => "notifier-answered",
            Self::NotifierSettled => "notifier-settled",
        }
    }
}

/// A correction passes a point.
#[cfg(not(feature = "crash-points"))]
#[allow(clippy::unused_async, reason = "it hangs where a test wants it to")]
pub async fn pass(_: Point) {}

#[cfg(feature = "crash-points")]
pub use armed::pass;

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Point;

    /// What happens at a point.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Act {
        Kill,
        Panic,
        Hang,
    }

    /// What happens where, and at which pass from now.
    #[derive(Debug)]
    struct Trap {
        point: Point,
        act: Act,
        passes_left: AtomicU64,
    }

    static TRAPS: OnceLock<Vec<Trap>> = OnceLock::new();

    /// A correction passes a point.
    ///
    /// # Panics
    /// Where `CRASH_POINTS` wants it so, or cannot be read.
    pub async fn pass(point: Point) {
        let traps = TRAPS.get_or_init(|| read(&std::env::var("CRASH_POINTS").unwrap_or_default()));
        for trap in traps.iter().filter(|trap| trap.point == point) {
            if trap.passes_left.fetch_sub(1, Ordering::Relaxed) != 1 {
                continue;
            }
            match trap.act {
                Act::Kill => {
                    let sent = rustix::process::kill_process(
                        rustix::process::getpid(),
                        rustix::process::Signal::KILL,
                    );
                    assert!(sent.is_ok(), "a process may kill itself");
                }
                Act::Panic => panic!("CRASH_POINTS wants a panic at {}", point.name()),
                Act::Hang => std::future::pending().await,
            }
        }
    }

    fn read(text: &str) -> Vec<Trap> {
        let traps = text.split(',').map(str::trim).filter(|trap| !trap.is_empty());
        traps.map(|trap| parse(trap).unwrap_or_else(|| panic!("CRASH_POINTS: what is {trap}?"))).collect()
    }

    fn parse(trap: &str) -> Option<Trap> {
        let (name, act) = trap.split_once('=')?;
        let (act, pass) = act.split_once(':').unwrap_or((act, "1"));
        let act = match act {
            "kill" => Act::Kill,
            "panic" => Act::Panic,
            "hang" => Act::Hang,
            _ => return None,
        };
        let point = *Point::ALL.iter().find(|point| point.name() == name)?;
        // At zero passes the count would begin with the largest number there is.
        let pass = pass.parse().ok().filter(|pass| *pass > 0)?;
        Some(Trap { point, act, passes_left: AtomicU64::new(pass) })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn traps_are_read_with_their_act_and_their_pass() {
            let traps = read("starter-created=kill:17, notifier-taken=hang");
            let told: Vec<_> = traps
                .iter()
                .map(|trap| (trap.point, trap.act, trap.passes_left.load(Ordering::Relaxed)))
                .collect();
            assert_eq!(told, [(Point::StarterCreated, Act::Kill, 17), (Point::NotifierTaken, Act::Hang, 1)]);
            for bad in ["starter-created", "starter-created=die", "nowhere=kill", "starter-created=kill:0"] {
                assert!(parse(bad).is_none(), "{bad}");
            }
        }
    }
}
