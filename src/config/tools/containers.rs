//! The arguments of `containers`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::super::{CommonSettings, DockerSettings};
use super::submit::span;

/// `containers`: those of corrections, on the Docker engine of the settings.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Containers {
    /// What is to be done.
    #[command(subcommand)]
    pub order: ContainersOrder,
    /// Where the queues are; always there once the settings were read.
    #[arg(skip)]
    pub common: Option<CommonSettings>,
    /// Where the engine is; always there once the settings were read.
    #[arg(skip)]
    pub docker: Option<DockerSettings>,
}

/// What is to be done with containers.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum ContainersOrder {
    /// Lists them, with what is known of their corrections
    List(ListContainers),
    /// Removes those that nobody needs any more, after showing them and asking
    ///
    /// Exit codes: 0 all of them are gone (or there were none), 1 it was not confirmed, or some could not be removed,
    /// 64 what was asked for makes no sense, 69 Redis or Docker is not there.
    Prune(PruneContainers),
}

/// Whose containers.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct Whose {
    /// Those of one instance, by the label org.correctomatic.instance; without it those of this system
    #[arg(long, value_name = "ID", conflicts_with_all = ["all_instances", "original"])]
    pub instance: Option<String>,
    /// Those of every instance on this engine
    #[arg(long, conflicts_with = "original")]
    pub all_instances: bool,
    /// Those of the JavaScript original: no label of ours, and a name of the form correction-UUID
    #[arg(long)]
    pub original: bool,
    /// Only those that were made so long ago. Those of which Redis knows nothing (of another instance, or of the
    /// original) have to have ended so long ago, too [default: 1h after their end, whenever they were made]
    #[arg(long, value_name = "DURATION", value_parser = span)]
    pub older_than: Option<Duration>,
}

/// `containers list`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct ListContainers {
    /// Which ones
    #[command(flatten)]
    pub whose: Whose,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `containers prune`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct PruneContainers {
    /// Which ones
    #[command(flatten)]
    pub whose: Whose,
    /// Also those whose correction is open: it ends with the outcome `killed` then
    #[arg(long)]
    pub force: bool,
    /// Do not ask: the instance's id, all-instances or original
    #[arg(long, value_name = "TARGET")]
    pub yes_remove: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
