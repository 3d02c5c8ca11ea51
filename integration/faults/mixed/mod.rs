//! Fleets of our components and of Node's, BullMQ 5.12.7 and 6.7.0, on the same queues under faults.
//!
//! Nothing is lost, whoever dies. What Node's stand-ins do twice is theirs where they took part: a
//! starter of the original that dies after it started a container leaves a pending job that is started
//! again, and a notifier of any kind that dies after its POST posts again.

mod fleet;
mod kills;
mod pauses;
mod resets;
mod stalls;
mod tally;
