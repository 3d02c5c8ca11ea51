//! The engine that runs strangers' submissions in containers and tells the caller the grade.
//!
//! ```text
//! caller's API ─▶ pending_corrections ─▶ starter ─▶ container ─die─▶ completer ─▶ finished_corrections ─▶ notifier ─▶ callback
//!                                           │                          ▲  ▲
//!                                           └─▶ running_corrections ───┘  └── sweep: what the events missed
//! ```
//!
//! The map, and who may import whom (a test holds it):
//!
//! - **stages** ([`starter`], [`completer`], [`notifier`]) each take jobs from one queue and hand them to the
//!   next. They import adapters and vocabulary, never one another.
//! - **adapters** ([`queue`]: BullMQ on Redis, [`docker`]: the engine, [`callback`]: the HTTP client) speak to one
//!   service each. They import vocabulary, never one another and never a stage.
//! - **tools** ([`tools`]) are the commands that are no components. They import adapters and vocabulary, and of the
//!   stages what those offer to whoever has no queue ([`starter::single`], [`completer::single`]), so that nothing is
//!   done a second way. Nobody imports them.
//! - the **watch** ([`http`]) answers whoever asks how the process is. It imports adapters and vocabulary, and nobody
//!   imports it.
//! - **vocabulary** (all the rest) says what things are: ids, jobs, labels, verdicts, outcomes, settings. It does
//!   no I/O of its own and imports vocabulary only.

pub mod backoff;
pub mod callback;
pub mod canonical;
pub mod completer;
pub mod concern;
pub mod config;
pub mod crash_points;
pub mod docker;
pub mod egress;
pub mod ending;
pub mod exercise;
pub mod fields;
pub mod heartbeat;
pub mod http;
pub mod identity;
pub mod image;
pub mod job;
pub mod labels;
pub mod ledger;
pub mod metrics;
pub mod notifier;
pub mod outcome;
pub mod output;
pub mod policy;
pub mod profile;
pub mod queue;
pub mod reload;
pub mod rerun;
pub mod seal;
pub mod service_manager;
pub mod shutdown;
pub mod signing;
pub mod starter;
pub mod startup;
pub mod supervision;
pub mod telemetry;
pub mod tools;
pub mod usage;
pub mod verdict;
pub mod version;
