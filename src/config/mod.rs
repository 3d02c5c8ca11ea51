//! Settings: flags, environment and `.env` in, checked settings out.
//!
//! ```text
//! flags ─┐                    table: names, defaults, help
//! environment ─┼─▶ inputs ──▶ components, connections ──▶ settings
//! .env ─┘          problems   formats, docker_options, …
//! ```

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use command_line::Line;
use inputs::{Inputs, Surroundings};

mod callbacks;
mod command_line;
mod components;
mod connections;
mod docker_host;
mod docker_options;
mod dotenv;
pub(crate) mod formats;
mod inputs;
mod likeness;
mod problem;
mod proxies;
mod redis_url;
mod registry_logins;
mod sandbox;
mod settings;
mod signing;
mod ssh;
mod table;
mod tools;

pub use command_line::command;
pub use problem::{Origin, Problem, Shown};
pub use settings::*;
pub use ssh::{SshEndpoint, SshKey};
pub use table::{Component, Setting, settings};
pub use tools::*;

/// What the process is asked to do.
#[derive(Debug)]
pub enum Request {
    /// Run components.
    Run(Box<Configuration>),
    /// Do one thing for a person.
    Tool(Box<Tool>),
    /// Show a text, such as the help.
    Show(String),
}

/// Everything that was set, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// What was asked for.
    pub component: Component,
    /// The log.
    pub log: LogSettings,
    /// Where to answer whoever watches the process, over HTTP.
    pub http: Option<SocketAddr>,
    /// Whether containers run hardened, and not as the original ran them.
    pub hardened: bool,
    /// What the starter is given, if it is to run.
    pub starter: Option<StarterSettings>,
    /// What the completer is given, if it is to run.
    pub completer: Option<CompleterSettings>,
    /// What the notifier is given, if it is to run.
    pub notifier: Option<NotifierSettings>,
    /// What is allowed and looks like a mistake; to be logged.
    pub warnings: Vec<String>,
}

/// Why the process cannot run (exit code 64). No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The command line cannot be understood.
    #[error("{0}")]
    CommandLine(String),
    /// No component is named; the text is the help.
    #[error("{0}\nerror: name a component, or set PROCESS to one of starter, completer, notifier, all")]
    NoComponent(String),
    /// `PROCESS` names no component.
    #[error("error: PROCESS is {value} ({origin}); allowed: starter, completer, notifier, all")]
    NoSuchComponent {
        /// Its value.
        value: Shown,
        /// Where it was found.
        origin: Origin,
    },
    /// Settings are wrong: all that are.
    #[error("{}", Listed(.0))]
    Settings(Vec<Problem>),
}

/// Problems, one a line.
struct Listed<'all>(&'all [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: the configuration is wrong:")?;
        self.0.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

/// Reads the command line (with the program's name first), the environment, and `.env` in a directory.
///
/// # Errors
/// When anything is wrong with them; all wrong settings are told at once.
pub fn read(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    directory: &Path,
) -> Result<Request, Refusal> {
    let surroundings = Surroundings::new(environment, directory);
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    if command_line::is_open(&arguments) {
        let component = component_of_environment(&surroundings)?;
        arguments.insert(arguments.len().min(1), OsString::from(component.name()));
    }
    let (component, flags) = match command_line::parse(arguments).map_err(Refusal::CommandLine)? {
        Line::Run(component, flags) => (component, flags),
        Line::Tool(tool, flags) => {
            let named = || surroundings.plain("PROCESS").and_then(|found| Component::named(&found.text));
            let component = tool.component().or_else(|| named().filter(|_| tool.is_for_component()));
            let mut inputs = Inputs::new(component.unwrap_or(Component::All), flags, surroundings);
            let tool = tools::tool(*tool, &mut inputs);
            inputs.finish().map_err(Refusal::Settings)?;
            return Ok(Request::Tool(Box::new(tool)));
        }
        Line::Show(text) => return Ok(Request::Show(text)),
    };
    let configuration = configuration(Inputs::new(component, flags, surroundings));
    configuration.map(|configuration| Request::Run(Box::new(configuration))).map_err(Refusal::Settings)
}

/// Whether a command line (the program's name first) asks for JSON, be it one that can be understood or not.
#[must_use]
pub fn asks_for_json(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|argument| *argument != "--").any(|argument| argument == "--json")
}

/// The component that `PROCESS` names, as in the original's image.
fn component_of_environment(surroundings: &Surroundings) -> Result<Component, Refusal> {
    let Some(found) = surroundings.plain("PROCESS") else {
        return Err(Refusal::NoComponent(command_line::help()));
    };
    Component::named(&found.text)
        .ok_or_else(|| Refusal::NoSuchComponent { value: Shown::new(&found.text), origin: found.origin })
}

fn configuration(mut inputs: Inputs) -> Result<Configuration, Vec<Problem>> {
    let configuration = gathered(&mut inputs);
    let warnings = inputs.finish()?;
    Ok(Configuration { warnings, ..configuration })
}

/// All that was set for the component of the inputs, whatever is wrong with it.
fn gathered(inputs: &mut Inputs) -> Configuration {
    let component = inputs.component();
    let runs = |stage| component == Component::All || component == stage;
    Configuration {
        component,
        log: components::log(inputs),
        http: inputs.read_optional("HTTP_LISTEN", formats::listen_address),
        hardened: !inputs.is_original(),
        starter: runs(Component::Starter).then(|| components::starter(inputs)),
        completer: runs(Component::Completer).then(|| components::completer(inputs)),
        notifier: runs(Component::Notifier).then(|| components::notifier(inputs)),
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
