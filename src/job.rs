//! The data of the jobs in the three queues, parsed at the edge and written back byte for byte.

mod bounds;
mod origin;
mod pending;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fields::{Fields, raw};
use crate::identity::{ContainerId, CorrectionId};
use crate::outcome::Failure;
use crate::rerun::Rerun;

pub use self::pending::PendingJob;

pub use origin::Origin;

/// The queue of submissions that wait for a container.
pub const PENDING_QUEUE: &str = "pending_corrections";
/// The queue of corrections whose container was started.
pub const RUNNING_QUEUE: &str = "running_corrections";
/// The queue of results that wait for delivery.
pub const FINISHED_QUEUE: &str = "finished_corrections";

/// What every job carries from its caller to its callback.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errand {
    /// The caller's own name for the submission: any JSON value, or not sent.
    pub work_id: Option<WorkId>,
    /// Where the result is to be `POSTed`; `None` where the job's data had none that can be read.
    pub callback: Option<String>,
    /// Fields that we do not know, carried along.
    pub extra: Fields,
}

/// A caller's name for a submission, as the JSON text that it sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkId(pub Box<RawValue>);

impl PartialEq for WorkId {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// A correction whose container was started.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningJob {
    /// Work id, callback and what else came along.
    pub errand: Errand,
    /// The container that runs it.
    pub container: ContainerId,
    /// What our own starter knows of it; `None` for a job of the original's starter.
    pub origin: Option<Origin>,
}

#[derive(Serialize)]
struct Runner<'a> {
    #[serde(flatten)]
    origin: &'a Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun: Option<&'a Rerun>,
}

/// A result that waits for delivery.
#[derive(Clone, Debug)]
pub struct FinishedJob {
    /// Work id, callback and what else came along.
    pub errand: Errand,
    /// Whether the runner, and not the grader, declares a failure.
    pub error: bool,
    /// The verdict object, or the error's text as a JSON string.
    pub correction_data: Box<RawValue>,
    /// The name of the outcome, where the runner declares a failure.
    pub outcome: Option<String>,
    /// Whether another run may end otherwise ([`Failure::again`]); it is not written down.
    pub again: bool,
}

/// Job data that is not what the contract says, with what could be read of it nonetheless.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidJob {
    /// What is wrong, and with which field.
    pub problem: Problem,
    /// As much as could be read, so that the failure can still reach its caller.
    pub errand: Errand,
}

/// What can be wrong with a job's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The data is not a JSON object.
    #[error("the job's data is not a JSON object: {0}")]
    NotAnObject(String),
    /// A field that must be there is not.
    #[error("the job's data has no field \"{0}\"")]
    Missing(&'static str),
    /// A field has another type than the contract says.
    #[error("the field \"{field}\" of the job's data must be {expected}, but it is {found}")]
    WrongType {
        /// The field's name.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What stands there, shortened.
        found: String,
    },
    /// A field, or all of them together, are longer than can be dealt with.
    #[error(
        "the field \"{field}\" of the job's data is too long: {bytes} bytes of the {most} that are possible"
    )]
    TooLong {
        /// The field's name, or that it is the whole.
        field: String,
        /// How long it is, as the engine tells it where that is what counts.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// A field has the right type and a value that cannot be used.
    #[error("the field \"{field}\" of the job's data {fault}: {found}")]
    BadValue {
        /// The field's name.
        field: &'static str,
        /// What is wrong with the value.
        fault: &'static str,
        /// What stands there, shortened.
        found: String,
    },
}

impl Problem {
    /// What is wrong with the file that a job names, as words that follow the field's name.
    #[must_use]
    pub fn of_file(fault: &'static str, file: &str) -> Self {
        Self::BadValue { field: "file", fault, found: shortened(file) }
    }
}

impl RunningJob {
    /// Reads the data of a job in `running_corrections`, ours or the original's.
    ///
    /// # Errors
    /// The data is not an object, names no container, or a field is of the wrong type.
    pub fn parse(data: &str) -> Result<Self, Box<InvalidJob>> {
        let mut fields = object(data)?;
        let id = optional::<String>(&mut fields, "id", A_STRING);
        let container = match optional::<String>(&mut fields, "container_id", A_STRING) {
            Ok(None) => id.and_then(|id| id.ok_or(Problem::Missing("container_id"))),
            Ok(Some(container)) => Ok(container),
            Err(problem) => Err(problem),
        };
        let origin = optional::<Origin>(&mut fields, "runner", "the object that our starter writes");
        let (errand, callback_problem) = Errand::split(fields);
        let checked = || -> Result<_, Problem> {
            let container = container?;
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
            check(
                !container.is_empty() && container.bytes().all(legal),
                "container_id",
                "is not a container's id",
                &container,
            )?;
            match callback_problem {
                Some(problem) => Err(problem),
                None => Ok((container, origin?)),
            }
        };
        match checked() {
            Ok((container, origin)) => Ok(Self { errand, container: ContainerId::new(container), origin }),
            Err(problem) => Err(Box::new(InvalidJob { problem, errand })),
        }
    }

    /// The job's data as it goes into Redis.
    #[must_use]
    pub fn to_data(&self) -> String {
        self.to_data_with(None)
    }

    /// The same with what is needed to run the correction again, beside its origin. It is no part of what is
    /// read back ([`Rerun::of_record`] does that): ten thousand of them are held at a time.
    #[must_use]
    pub fn to_data_with(&self, rerun: Option<&Rerun>) -> String {
        let mut fields = self.errand.leading();
        fields.set("container_id", raw(&self.container));
        self.errand.trailing(&mut fields);
        if let Some(origin) = &self.origin {
            fields.set("runner", raw(&Runner { origin, rerun }));
        }
        fields.to_string()
    }

    /// The correction's identity.
    #[must_use]
    pub fn correction(&self) -> CorrectionId {
        match &self.origin {
            Some(origin) => origin.correction.clone(),
            None => CorrectionId::of_unlabelled(&self.container),
        }
    }
}

impl FinishedJob {
    /// A result in which the grader's own verdict stands, as the text that it printed.
    #[must_use]
    pub fn of_verdict(errand: Errand, verdict: Box<RawValue>) -> Self {
        Self { errand, error: false, correction_data: verdict, outcome: None, again: false }
    }

    /// A result in which the runner declares a failure.
    #[must_use]
    pub fn of_failure(errand: Errand, failure: &Failure) -> Self {
        Self {
            errand,
            error: true,
            correction_data: raw(failure.text.as_str()),
            outcome: Some(failure.outcome.as_str().to_owned()),
            again: failure.again,
        }
    }

    /// Reads the data of a job in `finished_corrections`, ours or the original's.
    ///
    /// # Errors
    /// The data is not an object, or a field is missing or of the wrong type.
    pub fn parse(data: &str) -> Result<Self, Box<InvalidJob>> {
        let mut fields = object(data)?;
        let error = optional::<bool>(&mut fields, "error", "true or false");
        let correction_data = fields.take("correction_data").ok_or(Problem::Missing("correction_data"));
        let outcome = optional::<String>(&mut fields, "outcome", A_STRING);
        let (errand, callback_problem) = Errand::split(fields);
        let checked = || -> Result<_, Problem> {
            let (error, correction_data) = (error?.unwrap_or(false), correction_data?);
            match callback_problem {
                Some(problem) => Err(problem),
                None => Ok((error, correction_data, outcome?)),
            }
        };
        match checked() {
            Ok((error, correction_data, outcome)) => {
                Ok(Self { errand, error, correction_data, outcome, again: false })
            }
            Err(problem) => Err(Box::new(InvalidJob { problem, errand })),
        }
    }

    /// The job's data as it goes into Redis.
    #[must_use]
    pub fn to_data(&self) -> String {
        let mut fields = self.errand.leading();
        fields.set("error", raw(&self.error));
        fields.set("correction_data", self.correction_data.clone());
        self.errand.trailing(&mut fields);
        if let Some(outcome) = &self.outcome {
            fields.set("outcome", raw(outcome));
        }
        fields.to_string()
    }
}

impl Errand {
    /// The work id as it stands in logs: without quotes where it is a string, shortened.
    #[must_use]
    pub fn work_id_shown(&self) -> String {
        const LONGEST: usize = 100;
        let text = self.work_id.as_ref().map_or("", |work_id| work_id.0.get());
        let unquoted = serde_json::from_str::<String>(text);
        unquoted.as_deref().unwrap_or(text).chars().take(LONGEST).collect()
    }

    /// Takes work id and callback out of a job's fields; what is left is the extra.
    fn split(mut fields: Fields) -> (Self, Option<Problem>) {
        let work_id = fields.take("work_id").map(WorkId);
        let (callback, problem) = match required::<String>(&mut fields, "callback", A_STRING) {
            Ok(callback) => (Some(callback), None),
            Err(problem) => (None, Some(problem)),
        };
        (Self { work_id, callback, extra: fields }, problem)
    }

    fn leading(&self) -> Fields {
        let mut fields = Fields::default();
        if let Some(work_id) = &self.work_id {
            fields.set("work_id", work_id.0.clone());
        }
        fields
    }

    fn trailing(&self, fields: &mut Fields) {
        if let Some(callback) = &self.callback {
            fields.set("callback", raw(callback));
        }
        for (name, value) in self.extra.iter() {
            if fields.get(name).is_none() {
                fields.set(name, value.to_owned());
            }
        }
    }
}

const A_STRING: &str = "a string";
/// The fields whose values no error's text shows: there may be passwords in them.
const HIDDEN: [&str; 2] = ["callback", "params"];

fn object(data: &str) -> Result<Fields, Box<InvalidJob>> {
    Fields::parse(data).map_err(|error| {
        // Nothing of the data: there may be passwords in it.
        let what = if error.is_data() { "it is something else".to_owned() } else { error.to_string() };
        let problem = Problem::NotAnObject(format!("{what} (of {} bytes)", data.len()));
        Box::new(InvalidJob { problem, errand: Errand::default() })
    })
}

fn required<T: DeserializeOwned>(
    fields: &mut Fields,
    field: &'static str,
    expected: &'static str,
) -> Result<T, Problem> {
    match fields.take(field) {
        Some(value) => typed(&value, field, expected),
        None => Err(Problem::Missing(field)),
    }
}

fn optional<T: DeserializeOwned>(
    fields: &mut Fields,
    field: &'static str,
    expected: &'static str,
) -> Result<Option<T>, Problem> {
    match fields.take(field) {
        Some(value) if value.get() != "null" => typed(&value, field, expected).map(Some),
        _ => Ok(None),
    }
}

fn typed<T: DeserializeOwned>(
    value: &RawValue,
    field: &'static str,
    expected: &'static str,
) -> Result<T, Problem> {
    serde_json::from_str(value.get()).map_err(|_| {
        let hidden = HIDDEN.contains(&field);
        let found = if hidden { "something else".to_owned() } else { shortened(value.get()) };
        Problem::WrongType { field, expected, found }
    })
}

fn check(holds: bool, field: &'static str, fault: &'static str, found: &str) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem::BadValue { field, fault, found: shortened(found) }) }
}

fn check_callback(callback: &str) -> Result<(), Problem> {
    let parsed = url::Url::parse(callback).ok();
    let usable = parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // What stands before an @ may be a password, and behind a question mark or a number sign a token.
    let shown = callback.split(['?', '#']).next().unwrap_or_default();
    let shown = shown.rsplit('@').next().unwrap_or_default();
    check(usable, "callback", "is not an http or https URL", shown)
}

/// At most 80 characters of a stranger's text, for an error's text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
