//! The whole runner, from a submission in Redis to the callback: real binary, Redis, Docker, receiver.

mod abilities;
mod canaries;
mod clearing;
mod crashes;
mod deadlines;
mod failures;
mod faults;
mod logs;
mod mixed;
mod neighbours;
mod orders;
mod policies;
mod settings;
mod ssh;
mod verdicts;
