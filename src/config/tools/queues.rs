//! The arguments of `queues`.

use clap::{Args, Subcommand, ValueEnum};

use super::super::CommonSettings;

/// `queues`: what is in them, emptying them, and trying again what failed.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Queues {
    /// What is to be done.
    #[command(subcommand)]
    pub order: QueuesOrder,
    /// Where the queues are, and what is written into jobs; always there once the settings were read.
    #[arg(skip)]
    pub common: Option<CommonSettings>,
}

/// What is to be done with queues.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum QueuesOrder {
    /// How many jobs are in which state
    List(ListQueues),
    /// Deletes the three queues and all of the runner's own keys, without any callback
    Reset(ResetQueues),
    /// Cancels all corrections that wait for a container: each ends with the result `cancelled`
    Drain(DrainQueue),
    /// Puts failed jobs of one queue back in line
    RetryFailed(RetryFailed),
}

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueueName {
    /// `pending_corrections`: each becomes a correction anew
    Pending,
    /// `running_corrections`: their containers are looked at again
    Running,
    /// `finished_corrections`: their results are delivered again
    Finished,
}

/// `queues list`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct ListQueues {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `queues reset`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct ResetQueues {
    /// Do not ask: the very target, as HOST:PORT/DATABASE/PREFIX, such as 127.0.0.1:6379/0/bull
    #[arg(long, value_name = "TARGET")]
    pub yes_delete: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `queues drain`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct DrainQueue {
    /// Without any result: nobody is told, and no callback is made
    #[arg(long)]
    pub forget: bool,
    /// Do not ask: the very target, as HOST:PORT/DATABASE/PREFIX, such as 127.0.0.1:6379/0/bull
    #[arg(long, value_name = "TARGET")]
    pub yes_drain: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `queues retry-failed`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct RetryFailed {
    /// Which queue
    #[arg(value_enum)]
    pub queue: QueueName,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
