//! Every setting there is: its name, who uses it, its default, what it means. Help, look-up and errors
//! all come from this table.

mod containers;
mod deliveries;
mod docker;
mod shared;

/// A component, or all of them in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// Pending job → container started → running job.
    Starter,
    /// Container ended → verdict → finished job.
    Completer,
    /// Finished job → the caller knows.
    Notifier,
    /// The three of them.
    All,
}

impl Component {
    /// Each component, in the order of the flow.
    pub const EACH: [Self; 4] = [Self::Starter, Self::Completer, Self::Notifier, Self::All];

    /// Its name on the command line and in `PROCESS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starter => "starter",
            Self::Completer => "completer",
            Self::Notifier => "notifier",
            Self::All => "all",
        }
    }

    /// The component of that name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|component| component.name().eq_ignore_ascii_case(name.trim()))
    }
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable; the flag is the same in kebab case.
    pub name: &'static str,
    /// Other environment variables that are read where the first is not set.
    pub aliases: &'static [&'static str],
    /// Who uses it.
    pub users: &'static [Component],
    /// The heading it stands under in the help text.
    pub group: &'static str,
    /// What kind of value it takes, for the help text.
    pub value: &'static str,
    /// The default as one would write it; empty = not set.
    pub default: &'static str,
    /// The default under `CONTAINER_PROFILE=original`, where it is another one.
    pub original: Option<&'static str>,
    /// What happens without it, where there is no default to show.
    pub unset: &'static str,
    /// Whether its value must never be printed.
    pub secret: bool,
    /// What it means.
    pub help: &'static str,
}

impl Setting {
    /// The flag, without its dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.to_lowercase().replace('_', "-")
    }

    /// Whether a component uses it.
    #[must_use]
    pub fn is_of(&self, component: Component) -> bool {
        component == Component::All || self.users.contains(&component)
    }

    /// Whether it takes yes or no.
    #[must_use]
    pub fn is_boolean(&self) -> bool {
        self.value == YES_NO
    }
}

const S: &[Component] = &[Component::Starter];
const C: &[Component] = &[Component::Completer];
const N: &[Component] = &[Component::Notifier];
const SC: &[Component] = &[Component::Starter, Component::Completer];
const SCN: &[Component] = &[Component::Starter, Component::Completer, Component::Notifier];

const YES_NO: &str = "YES|NO";
const DURATION: &str = "DURATION";
const NUMBER: &str = "NUMBER";
const SIZE: &str = "SIZE";

pub(super) const REDIS: &str = "Redis and the queues";
pub(super) const DOCKER: &str = "Docker";
pub(super) const SANDBOX: &str = "What a container is allowed";
const STARTS: &str = "Starting containers";
const ENDINGS: &str = "Collecting results";
const CLEARING: &str = "Clearing away";
pub(super) const DELIVERIES: &str = "Delivering results";
const LOG: &str = "Logging and start-up";

/// A setting with nothing but what each has; the rest is told by struct update.
const PLAIN: Setting = Setting {
    name: "",
    aliases: &[],
    users: SCN,
    group: REDIS,
    value: "TEXT",
    default: "",
    original: None,
    unset: "",
    secret: false,
    help: "",
};

/// The settings of this version, in the order of the help text.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    [
        shared::REDIS_AND_QUEUES,
        docker::DOCKER_ENGINE,
        containers::SANDBOX_LIMITS,
        containers::STARTING,
        containers::COLLECTING,
        containers::CLEARING,
        deliveries::DELIVERING,
        shared::LOGGING_AND_START,
    ]
    .into_iter()
    .flatten()
}

/// The setting of that name.
pub(super) fn setting(name: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.name == name)
}
