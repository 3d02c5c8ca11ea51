//! What can go wrong with a call, switched on from a test.

use std::time::Duration;

/// The calls that the simulated engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `/_ping`
    Ping,
    /// `/version`
    Version,
    /// `/info`
    Info,
    /// `POST /containers/create`
    Create,
    /// `PUT /containers/{id}/archive`
    Archive,
    /// `POST /containers/{id}/start`
    Start,
    /// `GET /containers/{id}/json`
    Inspect,
    /// `GET /containers/{id}/json?size=1`
    Size,
    /// `GET /containers/{id}/stats`
    Usage,
    /// `GET /system/df`
    DiskUsage,
    /// `GET /containers/{id}/logs`
    Logs,
    /// `GET /containers/json`
    List,
    /// `POST /containers/{id}/kill`
    Kill,
    /// `POST /containers/{id}/pause`
    Pause,
    /// `POST /containers/{id}/unpause`
    Unpause,
    /// `DELETE /containers/{id}`
    Remove,
    /// `GET /events`
    Events,
    /// `POST /images/create`
    Pull,
    /// `GET /images/{name}/json`
    InspectImage,
    /// Anything else.
    Unknown,
}

impl Call {
    /// How many there are.
    pub const COUNT: usize = Self::Unknown as usize + 1;
}

/// What happens to a call instead of its plain answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Not carried out; this status and message are answered.
    Refuse(u16, String),
    /// Carried out and answered after this time.
    Delay(Duration),
    /// Carried out at once, answered after this time.
    DelayAnswer(Duration),
    /// Not carried out, never answered.
    Hang,
    /// Carried out, never answered.
    CarryOutAndHang,
    /// Not carried out; the connection is closed.
    Drop,
    /// Carried out; the connection is closed.
    CarryOutAndDrop,
    /// Carried out; this status and message are answered all the same.
    CarryOutAndRefuse(u16, String),
    /// Carried out and answered, but the body stops in its middle and never ends.
    StallBody,
}

/// Which calls a fault befalls.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The call; `None` = every call.
    pub call: Option<Call>,
    /// Id, name, image or a part of one of the container it is about, or the image; `None` = whichever.
    pub container: Option<String>,
    /// What goes wrong.
    pub fault: Fault,
    /// For how many more calls.
    pub left: usize,
}

impl Rule {
    /// Whether it is about this call. `about` = the names that the container is known by.
    pub fn matches(&self, call: Call, about: &[&str]) -> bool {
        self.call.is_none_or(|wanted| wanted == call)
            && self
                .container
                .as_ref()
                .is_none_or(|part| about.iter().any(|name| name.contains(part.as_str())))
    }
}

/// Takes the first rule that is about a call, and counts it.
pub fn take(rules: &mut Vec<Rule>, call: Call, about: &[&str]) -> Option<Fault> {
    let at = rules.iter().position(|rule| rule.matches(call, about))?;
    let fault = rules[at].fault.clone();
    rules[at].left = rules[at].left.saturating_sub(1);
    if rules[at].left == 0 {
        rules.remove(at);
    }
    Some(fault)
}
