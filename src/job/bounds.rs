//! How long the parts of a job may be, so that its container can be made, started and listed.

use super::Problem;
use crate::fields::Fields;

/// How long the data of a pending job may be, in bytes.
const LONGEST_JOB: usize = 512 << 10;
/// How much longer it is at most once we noted in it that it is run again.
const OUR_MARK: usize = 64;
/// How long one environment variable may be, in bytes: the kernel's limit for one string (32 pages), less the NUL at
/// its end (`MAX_ARG_STRLEN`, <https://man7.org/linux/man-pages/man2/execve.2.html>).
const LONGEST_PARAM: usize = (128 << 10) - 1;
/// How long all of a job may be as the engine writes it into each event about its container, in bytes: of an event
/// no more than 1 MiB is read.
const LONGEST_TOLD: usize = 768 << 10;

/// Whether a job's data is short enough to be looked at.
pub(super) fn check_job(data: &str, runs: u32) -> Result<(), Problem> {
    let own = if runs > 0 { OUR_MARK } else { 0 };
    check("the whole", data.len(), LONGEST_JOB + own)
}

/// Whether its variables can be given to a process.
pub(super) fn check_params(params: &[String]) -> Result<(), Problem> {
    params.iter().try_for_each(|param| {
        let name: String = param.split('=').next().unwrap_or_default().chars().take(80).collect();
        check(&format!("params ({name}=…)"), param.len(), LONGEST_PARAM)
    })
}

/// Whether its fields, which become labels, can be read back from the engine; the longest is to blame.
pub(super) fn check_told(fields: &[(&str, &str)], extra: &Fields) -> Result<(), Problem> {
    let own = fields.iter().map(|(name, text)| (*name, told(text)));
    // What is carried along is one label; each of its quotes is escaped once more there.
    let carried = extra.iter().map(|(name, value)| (name, told(value.get())));
    let all: Vec<(&str, usize)> = own.chain(carried).collect();
    let total = all.iter().map(|(name, length)| name.len() + length).sum();
    let longest = all.iter().max_by_key(|(_, length)| *length).map_or("the whole", |(name, _)| *name);
    check(longest, total, LONGEST_TOLD)
}

/// How long a text is as a JSON string of the engine, which escapes what HTML could misread.
fn told(text: &str) -> usize {
    text.chars()
        .map(|character| match character {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => 6,
            other => other.len_utf8(),
        })
        .sum()
}

fn check(field: &str, bytes: usize, most: usize) -> Result<(), Problem> {
    if bytes <= most { Ok(()) } else { Err(Problem::TooLong { field: field.to_owned(), bytes, most }) }
}

#[cfg(test)]
mod tests {
    use super::super::PendingJob;
    use super::*;

    fn problem(params: &[String], extra: &str) -> Option<String> {
        let params = serde_json::to_string(params).expect("JSON");
        let extra = serde_json::to_string(extra).expect("JSON");
        let data = format!(
            r#"{{"image":"g","file":"/f","callback":"http://h/","params":{params},"essay":{extra}}}"#
        );
        PendingJob::parse(&data).err().map(|invalid| {
            assert_eq!(invalid.errand.callback.as_deref(), Some("http://h/"), "its caller is told");
            invalid.to_string()
        })
    }

    #[test]
    fn what_no_process_can_be_given_or_no_event_can_tell_is_refused_with_the_name_of_the_field() {
        let param = |bytes: usize| format!("BIG={}", "x".repeat(bytes - 4));
        assert_eq!(problem(&[param(LONGEST_PARAM)], ""), None);
        let text = problem(&[param(LONGEST_PARAM + 1)], "").expect("too long");
        assert!(text.contains("\"params (BIG=…)\"") && text.contains("131072 bytes"), "{text}");
        assert_eq!(problem(&[], &"x".repeat(500 << 10)), None);
        let text = problem(&[], &"x".repeat(512 << 10)).expect("too long");
        assert!(text.contains("\"the whole\"") && text.contains("524288"), "{text}");
        // As the engine tells it, it is six times as long.
        let text = problem(&[param(100)], &"<".repeat(200 << 10)).expect("too long");
        assert!(text.contains("\"essay\""), "{text}");
        let many: Vec<String> = (0..7).map(|_| format!("A={}", "&".repeat(30 << 10))).collect();
        let text = problem(&many, "").expect("too long");
        assert!(text.contains("\"params\""), "{text}");
    }
}
