//! Named places between two effects, where a test can have the process die, panic, hang or block.
//!
//! With the feature `crash-points` the variable `CRASH_POINTS` says what happens where:
//! `starter-created=kill:17,completer-collected=panic` kills the process (SIGKILL) the 17th time that a
//! starter has created a container, and panics the first time that a completer has read a verdict; `hang`
//! never goes on there, `block` takes a thread of the executor with it. Each springs once. Without the
//! feature, as in every release build, [`pass`] does nothing.

#[cfg(all(feature = "crash-points", not(debug_assertions)))]
compile_error!("the feature crash-points is for tests: a release build must not have it");

/// The places, each with its name in `CRASH_POINTS`.
macro_rules! points {
    ($($(#[$meta:meta])* $point:ident = $name:literal,)*) => {
        /// A place between two effects.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Point {
            $($(#[$meta])* $point,)*
        }

        impl Point {
            /// All of them, in the order in which a correction passes them.
            pub const ALL: &[Self] = &[$(Self::$point,)*];

            /// Its name in `CRASH_POINTS`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// A starter has taken a pending job, and not looked at it yet.
    StarterTaken = "starter-taken",
    /// A starter knows what to do, and has done nothing yet.
    StarterCreating = "starter-creating",
    /// A starter has pulled an image.
    StarterPulled = "starter-pulled",
    /// A starter has created the container.
    StarterCreated = "starter-created",
    /// A starter has put the verdict's secret into the container.
    StarterSealed = "starter-sealed",
    /// A starter has looked at a container of an earlier attempt.
    StarterResolved = "starter-resolved",
    /// A starter has removed a container that an earlier attempt created and did not start.
    StarterReplaced = "starter-replaced",
    /// A start was not answered with success: what became of it is not known yet.
    StarterDoubted = "starter-doubted",
    /// The container runs, and its job is still a pending one.
    StarterStarted = "starter-started",
    /// A starter has handed the job over.
    StarterHandedOver = "starter-handed-over",
    /// A starter knows that the correction cannot be started.
    StarterRefusing = "starter-refusing",
    /// A starter has handed a correction that cannot be started over as a failure.
    StarterRefused = "starter-refused",
    /// A starter has removed a container that could not be started.
    StarterCleaned = "starter-cleaned",
    /// A starter knows that the correction has to be tried again later.
    StarterPostponing = "starter-postponing",
    /// A starter has put the job back for a later try.
    StarterPostponed = "starter-postponed",
    /// A completer has taken a running job, and not looked at it yet.
    CompleterTaken = "completer-taken",
    /// A completer has inspected the container.
    CompleterInspected = "completer-inspected",
    /// A completer has unpaused a container whose time is up.
    CompleterUnpaused = "completer-unpaused",
    /// A completer has killed a container whose time is up, or whose disk is full.
    CompleterKilled = "completer-killed",
    /// A completer has read the verdict of a container that ended.
    CompleterCollected = "completer-collected",
    /// A completer has handed the result over.
    CompleterHandedOver = "completer-handed-over",
    /// A completer knows that the Docker host failed a correction, which is to be run again.
    CompleterRerunning = "completer-rerunning",
    /// A completer has put a correction back that is run again.
    CompleterReran = "completer-reran",
    /// A completer has handed a job over as a failure whose data cannot be used.
    CompleterRefused = "completer-refused",
    /// A completer has put a job back whose container runs on another engine.
    CompleterPassedOn = "completer-passed-on",
    /// A completer is about to remove the container.
    CompleterRemoving = "completer-removing",
    /// A completer has removed the container.
    CompleterRemoved = "completer-removed",
    /// A sweep has the list of containers.
    SweepListed = "sweep-listed",
    /// A sweep knows which containers no job knows of.
    SweepExamined = "sweep-examined",
    /// A sweep has killed a container that ran far beyond its time.
    SweepKilled = "sweep-killed",
    /// A completer has read the verdict of a container that no job knows of.
    OrphanCollected = "orphan-collected",
    /// A completer has handed the result of a container over that no job knows of.
    OrphanFinished = "orphan-finished",
    /// A completer has deleted the files of submissions, and not yet taken note of that.
    ExercisesDeleted = "exercises-deleted",
    /// A notifier has taken a result, and not looked at it yet.
    NotifierTaken = "notifier-taken",
    /// A notifier is about to POST a result.
    NotifierPosting = "notifier-posting",
    /// A receiver has answered a notifier, or did not in time.
    NotifierAnswered = "notifier-answered",
    /// A notifier has noted a failure in the log of the job.
    NotifierLogged = "notifier-logged",
    /// A notifier has settled the job of a result: delivered, to be tried again, or a dead letter.
    NotifierSettled = "notifier-settled",
    /// A stage holds the locks of the jobs that a call brought, and has not seen them yet.
    WorkerTook = "worker-took",
    /// A stage has renewed a batch of locks.
    WorkerRenewed = "worker-renewed",
    /// A stage has put jobs back in line that another lost.
    WorkerRecovered = "worker-recovered",
    /// A stage has given up a batch of jobs that it does not settle: a panic, or a stop.
    WorkerReleased = "worker-released",
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
        Block,
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
                // The executor's thread, for good.
                Act::Block => loop {
                    std::thread::park();
                },
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
            "block" => Act::Block,
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
