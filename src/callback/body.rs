//! What a callback receives: the bytes that the original sends (contract, section 4).

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::canonical::{CanonicalError, canonical_object, without_lone_surrogates};
use crate::fields::{Fields, raw};
use crate::job::{Errand, FinishedJob, InvalidJob};
use crate::outcome::{Failure, Outcome};

/// The body of a callback, and what had to be changed so that there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The canonical JSON text.
    pub bytes: Bytes,
    /// What could not be sent as it stood in the job, for the log; usually nothing.
    pub changes: Vec<String>,
}

impl Body {
    /// The body that tells a result: the verdict's own fields or the failure, and the job's work id,
    /// which wins over one inside the verdict.
    ///
    /// There always is one: a result that cannot be sent is told as a failure that says why, and a
    /// work id that cannot be sent is left out.
    #[must_use]
    pub fn of(job: &FinishedJob) -> Self {
        let fields = if job.error { Ok(failure_fields(job)) } else { verdict_fields(&job.correction_data) };
        match fields.and_then(|fields| Self::assemble(fields, &job.errand)) {
            Ok(body) => body,
            Err(failure) => Self::told_as(&failure, &job.errand),
        }
    }

    /// The body that tells a caller that the job of its result cannot be read.
    #[must_use]
    pub fn of_invalid(invalid: &InvalidJob) -> Self {
        Self::told_as(&Failure::new(Outcome::InvalidJob, unreadable(&invalid.problem)), &invalid.errand)
    }

    /// A failure in the place of the result.
    fn told_as(failure: &Failure, errand: &Errand) -> Self {
        let mut fields = Fields::default();
        fields.set("success", raw(&false));
        fields.set("error", raw(failure.text.as_str()));
        fields.set("outcome", raw(failure.outcome.as_str()));
        let told = Self::assemble(fields, errand);
        let mut body = told.unwrap_or_else(|error| unreachable!("own text is not canonical: {}", error.text));
        body.changes.push(format!("a failure is told in the place of the result: {}", failure.text));
        body
    }

    fn assemble(mut fields: Fields, errand: &Errand) -> Result<Self, Failure> {
        let mut changes = Vec::new();
        if let Some(work_id) = &errand.work_id {
            fields.take("work_id");
            match canonical_object([("work_id", &*work_id.0)]) {
                Ok(_) => fields.set("work_id", work_id.0.clone()),
                Err(error) => {
                    changes.push(format!("the work_id is left out, since it cannot be sent: {error}"));
                }
            }
        }
        let text = canonical_object(fields.iter()).map_err(|error| cannot_be_sent(&fields, &error))?;
        Ok(Self { bytes: text.into(), changes })
    }
}

/// The fields of a verdict, whoever wrote it into the job.
fn verdict_fields(verdict: &RawValue) -> Result<Fields, Failure> {
    Fields::parse(verdict.get()).map_err(|_| {
        let problem = "the field \"correction_data\" must be an object where \"error\" is false";
        Failure::new(Outcome::InvalidJob, unreadable(&problem))
    })
}

fn failure_fields(job: &FinishedJob) -> Fields {
    let mut fields = Fields::default();
    // The original's texts quote the grader's output, and may cut a character in two.
    let text = without_lone_surrogates(job.correction_data.get());
    let text = RawValue::from_string(text).unwrap_or_else(|_| job.correction_data.clone());
    fields.set("success", raw(&false));
    fields.set("error", text);
    if let Some(outcome) = &job.outcome {
        fields.set("outcome", raw(outcome));
    }
    fields
}

fn cannot_be_sent(fields: &Fields, error: &CanonicalError) -> Failure {
    let at_fault = fields.iter().find(|field| canonical_object([*field]).is_err());
    let name = at_fault.map(|(name, _)| name).unwrap_or_default().escape_debug();
    let text = format!("The result of the correction cannot be sent: its field \"{name}\": {error}.");
    Failure::new(Outcome::InvalidVerdict, text)
}

fn unreadable(problem: &dyn std::fmt::Display) -> String {
    format!("The result of the correction cannot be read: {problem}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use valico::json_schema::{SchemaVersion, Scope};

    fn body(data: &str) -> (String, usize) {
        let body = match FinishedJob::parse(data) {
            Ok(job) => Body::of(&job),
            Err(invalid) => Body::of_invalid(&invalid),
        };
        assert!(is_valid(&body.bytes), "{body:?}");
        (String::from_utf8(body.bytes.to_vec()).expect("UTF-8"), body.changes.len())
    }

    /// Whether a body is as `schemas/correctomatic_response.json` promises.
    fn is_valid(body: &[u8]) -> bool {
        let schema = include_str!("../../schemas/correctomatic_response.json");
        let mut scope = Scope::without_formats(SchemaVersion::Draft7);
        let schema = serde_json::from_str(schema).expect("JSON");
        let schema = scope.compile_and_return(schema, true).expect("a schema");
        schema.validate(&serde_json::from_slice(body).expect("JSON")).is_strictly_valid()
    }

    fn sent(data: &str) -> String {
        let (text, changes) = body(data);
        assert_eq!(changes, 0, "{text}");
        text
    }

    #[test]
    fn the_contracts_examples_are_sent_byte_for_byte() {
        let verdict = r#"{"work_id":"w0","error":false,"correction_data":{"success":true,"grade":7.5,"comments":["ok"]},"callback":"u"}"#;
        assert_eq!(sent(verdict), r#"{"comments":["ok"],"grade":7.5,"success":true,"work_id":"w0"}"#);
        let failure =
            r#"{"work_id":"w0","error":true,"correction_data":"The dog ate my correction","callback":"u"}"#;
        assert_eq!(sent(failure), r#"{"error":"The dog ate my correction","success":false,"work_id":"w0"}"#);
        let ours = r#"{"error":true,"correction_data":"late","callback":"u","outcome":"timeout"}"#;
        assert_eq!(sent(ours), r#"{"error":"late","outcome":"timeout","success":false}"#);
    }

    #[test]
    fn numbers_and_more_fields_are_sent_as_javascript_would() {
        let job = r#"{"work_id":100.0,"error":false,"correction_data":{"success":true,"grade":1e21,"b":[-0,12345678901234567890],"é":"\u00e9\/"},"callback":"u"}"#;
        let expected =
            r#"{"b":[0,12345678901234567000],"grade":1e+21,"success":true,"work_id":100,"é":"é/"}"#;
        assert_eq!(sent(job), expected);
    }

    #[test]
    fn the_jobs_work_id_wins_over_one_in_the_verdict() {
        let job = |work_id: &str| {
            format!(
                r#"{{{work_id}"error":false,"correction_data":{{"success":true,"grade":1,"work_id":"forged"}},"callback":"u"}}"#
            )
        };
        assert_eq!(sent(&job(r#""work_id":null,"#)), r#"{"grade":1,"success":true,"work_id":null}"#);
        assert_eq!(sent(&job("")), r#"{"grade":1,"success":true,"work_id":"forged"}"#);
    }

    #[test]
    fn a_work_id_that_cannot_be_sent_is_left_out_and_the_result_is_sent() {
        let job = r#"{"work_id":"\ud800","error":false,"correction_data":{"success":true,"grade":1,"work_id":"x"},"callback":"u"}"#;
        assert_eq!(body(job), (r#"{"grade":1,"success":true}"#.to_owned(), 1));
    }

    #[test]
    fn a_result_that_cannot_be_sent_is_told_as_a_failure() {
        let (text, changes) =
            body(r#"{"work_id":7,"correction_data":{"success":true,"comments":["\ud83d"]},"callback":"u"}"#);
        assert_eq!(changes, 1);
        assert!(text.starts_with(r#"{"error":"The result of the correction cannot be sent: its field \"comments\": a string holds the escape \\ud83d"#), "{text}");
        assert!(text.ends_with(r#""outcome":"invalid_verdict","success":false,"work_id":7}"#), "{text}");
        let (text, _) = body(r#"{"work_id":7,"correction_data":"text","callback":"u"}"#);
        assert!(
            text.contains("\\\"correction_data\\\" must be an object") && text.contains("invalid_job"),
            "{text}"
        );
        let (text, _) = body(r#"{"work_id":7,"error":"x","correction_data":{},"callback":"u"}"#);
        assert!(text.contains("\\\"error\\\" of the job's data must be true or false"), "{text}");
    }

    #[test]
    fn a_failures_text_that_cuts_a_character_in_two_is_sent_nonetheless() {
        let job = r#"{"error":true,"correction_data":"Unexpected \ud83d","callback":"u"}"#;
        assert_eq!(sent(job), "{\"error\":\"Unexpected \u{fffd}\",\"success\":false}");
    }
}
