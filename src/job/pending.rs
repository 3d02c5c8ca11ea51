//! The data of a job in `pending_corrections`: what its caller asked for, and what we note in it of earlier runs.

use serde::{Deserialize, Serialize};

use super::bounds::{check_job, check_params, check_told};
use super::{A_STRING, Errand, InvalidJob, Problem, check, check_callback, object, optional, required};
use crate::fields::{Fields, raw};

/// A submission that waits for its container.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingJob {
    /// Work id, callback and what else came along.
    pub errand: Errand,
    /// The grader's image.
    pub image: String,
    /// The submission's path on the Docker host, absolute.
    pub file: String,
    /// Environment variables for the grader, each `KEY=value`.
    pub params: Vec<String>,
    /// How often it was run before, since the Docker host failed (field `runner`).
    pub runs: u32,
}

/// What we write into the data of a correction that is run again, beside the caller's fields.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    runs: u32,
}

impl PendingJob {
    /// Reads the data of a job in `pending_corrections`.
    ///
    /// # Errors
    /// The data is not an object, or a field is missing or of the wrong type; the error holds
    /// callback and work id where they can be read.
    pub fn parse(data: &str) -> Result<Self, Box<InvalidJob>> {
        let mut fields = object(data)?;
        let image = required(&mut fields, "image", A_STRING);
        let file = required(&mut fields, "file", A_STRING);
        let runs = take_runs(&mut fields);
        let params = optional::<Vec<String>>(&mut fields, "params", "an array of strings, each KEY=value");
        let (errand, callback_problem) = Errand::split(fields);
        let checked = || -> Result<_, Problem> {
            let image: String = image?;
            let file: String = file?;
            let params = params?.unwrap_or_default();
            match callback_problem {
                Some(problem) => return Err(problem),
                None => check_callback(errand.callback.as_deref().unwrap_or_default())?,
            }
            check(!image.trim().is_empty(), "image", "is empty", &image)?;
            check(file.starts_with('/'), "file", "must be an absolute path on the Docker host", &file)?;
            check(!file.contains('\0'), "file", "holds a NUL character", &file)?;
            for param in &params {
                let named = !param.is_empty() && !param.starts_with('=');
                let name = param.split('=').next().unwrap_or_default();
                let shown = format!("{name}=…");
                check(
                    named && !param.contains('\0'),
                    "params",
                    "has an entry that is not KEY=value",
                    &shown,
                )?;
            }
            check_job(data, runs)?;
            check_params(&params)?;
            let (params_told, work_id) = (raw(&params), errand.work_id.as_ref());
            let told = [
                ("image", image.as_str()),
                ("file", file.as_str()),
                ("params", params_told.get()),
                ("callback", errand.callback.as_deref().unwrap_or_default()),
                ("work_id", work_id.map_or("", |work_id| work_id.0.get())),
            ];
            check_told(&told, &errand.extra)?;
            Ok((image, file, params))
        };
        match checked() {
            Ok((image, file, params)) => Ok(Self { errand, image, file, params, runs }),
            Err(problem) => Err(Box::new(InvalidJob { problem, errand })),
        }
    }

    /// The job's data as it goes into Redis.
    #[must_use]
    pub fn to_data(&self) -> String {
        let mut fields = self.errand.leading();
        fields.set("image", raw(&self.image));
        fields.set("file", raw(&self.file));
        if !self.params.is_empty() {
            fields.set("params", raw(&self.params));
        }
        self.errand.trailing(&mut fields);
        if self.runs > 0 {
            fields.set(RUNNER, raw(&Marked { runs: self.runs }));
        }
        fields.to_string()
    }
}

const RUNNER: &str = "runner";

/// Takes our own mark out. A field of that name that is not ours is the caller's, and is carried along.
fn take_runs(fields: &mut Fields) -> u32 {
    let mark = fields.get(RUNNER).and_then(|mark| serde_json::from_str::<Marked>(mark.get()).ok());
    mark.map_or(0, |Marked { runs }| {
        fields.take(RUNNER);
        runs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_again_is_what_was_asked_for_and_says_how_often_it_was_run() {
        let asked = r#"{"work_id":{"a":7.980},"image":"g","file":"/f","params":["A=1"],"callback":"http://h/","x":1e400}"#;
        let mut job = PendingJob::parse(asked).expect("valid");
        assert_eq!((job.to_data().as_str(), job.runs), (asked, 0));
        job.runs = 2;
        let again = job.to_data();
        assert_eq!(again, asked.replace("1e400}", r#"1e400,"runner":{"runs":2}}"#));
        assert_eq!(PendingJob::parse(&again).expect("own data"), job);
    }

    #[test]
    fn a_callers_own_field_of_that_name_is_carried_along() {
        for value in ["7", r#"{"runs":-1}"#, r#"{"runs":1,"x":2}"#] {
            let data = format!(r#"{{"image":"g","file":"/f","callback":"http://h/","runner":{value}}}"#);
            let job = PendingJob::parse(&data).expect("valid");
            assert_eq!((job.runs, job.to_data()), (0, data));
        }
    }
}
