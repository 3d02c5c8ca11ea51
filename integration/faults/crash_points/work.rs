//! What is submitted: corrections of all kinds, so that every point is passed again and again.

use std::time::Duration;

use serde_json::{Value, json};

use super::checker::Wanted;
use crate::support::simulated_engine::{Call, Fault, SimulatedEngine, script};

/// How long a container may run in these systems.
pub const TIME_LIMIT: Duration = Duration::from_secs(2);
/// The image that is there.
pub const IMAGE: &str = "grader:1";
/// What the names of corrections begin with whose first delivery meets an error.
pub const AGAIN: &str = "again";

/// The lines around a verdict, with its secret where one is wanted.
const BEGIN: &str = "-----BEGIN CORRECTOMATIC RESPONSE <secret>-----";
const END: &str = "-----END CORRECTOMATIC RESPONSE <secret>-----";

/// What kind of correction it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It runs for a moment and has a grade.
    Plain,
    /// Its image has to be pulled.
    Pulled,
    /// Its image is nowhere.
    NoImage,
    /// The engine refuses to start it.
    NoStart,
    /// It never ends by itself.
    Endless,
    /// It never ends by itself, and somebody pauses it.
    Paused,
    /// Its receiver answers with an error at first.
    Again,
    /// Its record in the running queue is written by a stranger, and of no use.
    Garbage,
    /// The engine fails at its (or somebody else's) creation once.
    CreateFails,
    /// The answer to its (or somebody else's) start is lost.
    StartUnclear,
    /// The host fails it while it runs for the first time.
    HostFails,
}

impl Kind {
    /// The kind of the correction with this number.
    pub fn of(number: u64) -> Self {
        match number % 20 {
            1 => Self::Pulled,
            3 => Self::NoImage,
            5 => Self::NoStart,
            7 if number % 40 == 7 => Self::Paused,
            7 => Self::Endless,
            9 => Self::Again,
            11 => Self::Garbage,
            13 => Self::CreateFails,
            15 => Self::StartUnclear,
            17 => Self::HostFails,
            _ => Self::Plain,
        }
    }

    /// Its name.
    pub fn name(self, number: u64) -> String {
        let start = if self == Self::Again { AGAIN } else { "c" };
        format!("{start}{number}")
    }

    /// What has to become of it.
    pub fn wanted(self, number: u64) -> Wanted {
        match self {
            Self::NoImage => Wanted::Outcome("image_not_found"),
            Self::NoStart => Wanted::Outcome("start_failed"),
            Self::Endless | Self::Paused => Wanted::Outcome("timeout"),
            Self::Garbage => Wanted::Outcome("invalid_job"),
            _ => Wanted::Grade(number),
        }
    }

    /// The data of its job; it runs for a time. Prepares the engine for it where it needs that.
    pub fn data(self, number: u64, callback: &str, run_time: Duration, engine: &SimulatedEngine) -> Value {
        let name = self.name(number);
        if self == Self::Garbage {
            return json!({ "work_id": name, "callback": callback, "container_id": 7 });
        }
        let run_time = match self {
            Self::Endless | Self::Paused => Duration::from_secs(3600),
            // Long enough to be found running, and shorter than it may.
            Self::HostFails => TIME_LIMIT.mul_f64(0.75),
            _ => run_time,
        };
        let mut params = vec![
            format!("{}={}", script::RUN_MS, run_time.as_millis()),
            format!("{}={BEGIN}\n{{\"success\":true,\"grade\":{number}}}\n{END}\n", script::STDOUT),
        ];
        let mut image = IMAGE.to_owned();
        match self {
            Self::Pulled => {
                image = format!("elsewhere/grader:{number}");
                engine.allow_pull(&image);
            }
            Self::NoImage => image = format!("nowhere/grader:{number}"),
            Self::NoStart => params.push(format!("{}=no such program", script::START_ERROR)),
            Self::Endless | Self::Paused => params[1] = format!("{}=", script::STDOUT),
            Self::CreateFails => {
                engine.inject(Call::Create, Fault::Refuse(500, "as the test wants".to_owned()), 1);
            }
            Self::StartUnclear => engine.inject(Call::Start, Fault::CarryOutAndDrop, 1),
            Self::Plain | Self::Again | Self::Garbage | Self::HostFails => {}
        }
        let file = format!("/tmp/no-such-submission-{number}");
        json!({ "work_id": name, "image": image, "file": file, "callback": callback, "params": params })
    }
}
