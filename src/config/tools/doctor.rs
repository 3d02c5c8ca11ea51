//! The arguments of `doctor`.

use clap::Args;

use super::super::{Component, Configuration, Problem};

/// `doctor`: checks Redis, Docker, the way to callbacks, and the settings; each with a verdict and a remedy.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Doctor {
    /// For which component of this machine: starter, completer, notifier or all [default: PROCESS, or else all]
    #[arg(value_name = "COMPONENT", value_parser = component)]
    pub component: Option<Component>,
    /// As JSON, one object in all
    #[arg(long)]
    pub json: bool,
    /// Also create, start and read a real container, and remove it
    #[arg(long)]
    pub deep: bool,
    /// The image that --deep takes, which has to be on the engine [default: the example grader]
    #[arg(long, value_name = "IMAGE", requires = "deep")]
    pub image: Option<String>,
    /// Also tell whether a result could be delivered there: addresses, rules, connection, certificate. Nothing is
    /// posted
    #[arg(long, value_name = "URL")]
    pub callback: Option<String>,
    /// The settings; always there once they were read.
    #[arg(skip)]
    pub settings: Option<Box<Diagnosed>>,
}

/// Settings as they are, with all that is wrong with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosed {
    /// What could be read. Of groups with problems nothing may be used.
    pub configuration: Configuration,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Diagnosed {
    /// Whether nothing is wrong with the settings of Redis.
    #[must_use]
    pub fn may_use_redis(&self) -> bool {
        self.is_well(super::REDIS)
    }

    /// Whether nothing is wrong with those of Docker.
    #[must_use]
    pub fn may_use_docker(&self) -> bool {
        self.is_well(super::super::table::DOCKER)
    }

    /// Whether nothing is wrong with those of deliveries.
    #[must_use]
    pub fn may_use_callbacks(&self) -> bool {
        self.is_well(super::super::table::DELIVERIES)
    }

    /// Whether nothing is wrong at all.
    #[must_use]
    pub fn may_use_all(&self) -> bool {
        self.problems.is_empty()
    }

    fn is_well(&self, group: &str) -> bool {
        // A file that cannot be read may have held any of them.
        self.problems.iter().all(|problem| {
            problem
                .setting()
                .is_some_and(|name| super::super::table::setting(name).is_none_or(|it| it.group != group))
        })
    }
}

fn component(text: &str) -> Result<Component, String> {
    Component::named(text).ok_or_else(|| "starter, completer, notifier or all".into())
}
