//! Job data: what is carried, what is refused, and that no stranger's text can do harm.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::identity::EngineId;
use crate::outcome::Outcome;

const PENDING: &str =
    r#"{"work_id":{"a":7.980},"image":"g","file":"/f","callback":"http://h/c","params":["A=1"],"x":1e400}"#;

#[test]
fn a_pending_job_is_read_and_what_is_unknown_is_carried() {
    let job = PendingJob::parse(PENDING).expect("valid");
    assert_eq!((job.image.as_str(), job.file.as_str()), ("g", "/f"));
    assert_eq!(job.params, ["A=1"]);
    assert_eq!(job.errand.extra.to_string(), r#"{"x":1e400}"#);
    let running = RunningJob { errand: job.errand, container: ContainerId::new("c1"), origin: None };
    assert_eq!(
        running.to_data(),
        r#"{"work_id":{"a":7.980},"container_id":"c1","callback":"http://h/c","x":1e400}"#
    );
    assert_eq!(RunningJob::parse(&running.to_data()).expect("own data"), running);
}

#[test]
fn each_fault_names_its_field_and_keeps_the_callback() {
    let cases = [
        (r#"{"callback":"http://h/"}"#, "no field \"image\""),
        (
            r#"{"image":7,"file":"/f","callback":"http://h/"}"#,
            "\"image\" of the job's data must be a string, but it is 7",
        ),
        (
            r#"{"image":"i","file":"f","callback":"http://h/"}"#,
            "\"file\" of the job's data must be an absolute path",
        ),
        (
            r#"{"image":"i","file":"/f","callback":"http://h/","params":"A=1"}"#,
            "\"params\" of the job's data must be an array",
        ),
        (
            r#"{"image":"i","file":"/f","callback":"http://h/","params":["=1"]}"#,
            "entry that is not KEY=value: =…",
        ),
        (r#"{"image":"","file":"/f","callback":"http://h/"}"#, "\"image\" of the job's data is empty"),
    ];
    for (data, expected) in cases {
        let invalid = PendingJob::parse(data).expect_err(data);
        assert!(invalid.to_string().contains(expected), "{invalid} / {expected}");
        assert_eq!(invalid.errand.callback.as_deref(), Some("http://h/"));
    }
}

#[test]
fn a_callback_that_cannot_be_read_or_dialled_is_named() {
    for (data, expected) in [
        (r#"{"image":"i","file":"/f"}"#, "no field \"callback\""),
        (r#"{"image":"i","file":"/f","callback":7}"#, "\"callback\" of the job's data must be a string"),
        (r#"{"image":"i","file":"/f","callback":"ftp://h"}"#, "not an http or https URL: ftp://h"),
        (r#"{"image":"i","file":"/f","callback":"nonsense"}"#, "not an http or https URL"),
        ("undefined", "not a JSON object"),
    ] {
        let invalid = PendingJob::parse(data).expect_err(data);
        assert!(invalid.to_string().contains(expected), "{invalid}");
    }
}

#[test]
fn no_password_of_a_job_is_in_the_text_of_its_fault() {
    for fields in [
        r#""callback":"ftp://me:geheim@h/""#,
        r#""callback":"me:geheim@h""#,
        r#""callback":["http://me:geheim@h/"]"#,
        r#""callback":"http://h/","params":"TOKEN=geheim""#,
        r#""callback":"http://h/","params":{"TOKEN":"geheim"}"#,
        r#""callback":"http://h/","params":["A=1",["TOKEN=geheim"]]"#,
        r#""callback":"http://h/","params":["=geheim"]"#,
        r#""callback":"http://h/","params":["TOKEN=\u0000geheim"]"#,
    ] {
        let invalid =
            PendingJob::parse(&format!(r#"{{"image":"i","file":"/f",{fields}}}"#)).expect_err(fields);
        let text = invalid.to_string();
        assert!(!text.contains("geheim"), "{text}");
        assert!(text.contains("\"callback\"") || text.contains("\"params\""), "{text}");
    }
}

#[test]
fn a_work_id_stands_in_logs_without_quotes_and_not_too_long() {
    let shown =
        |text: &str| Errand { work_id: Some(WorkId(raw_text(text))), ..Errand::default() }.work_id_shown();
    assert_eq!(shown(r#""w \"0\"""#), r#"w "0""#);
    assert_eq!((shown("7.50"), shown(r#"{"a":1}"#)), ("7.50".into(), r#"{"a":1}"#.into()));
    assert_eq!(shown(&format!("\"{}\"", "é".repeat(500))).chars().count(), 100);
    assert_eq!(Errand::default().work_id_shown(), "");
}

fn raw_text(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

#[test]
fn a_running_job_of_the_original_may_name_its_container_by_either_field() {
    for data in [r#"{"container_id":"c","callback":"u"}"#, r#"{"id":"c","callback":"u"}"#] {
        let job = RunningJob::parse(data).expect("valid");
        assert_eq!(job.container, ContainerId::new("c"));
        assert_eq!(job.correction().as_str(), "c");
    }
    let escaping = RunningJob::parse(r#"{"container_id":"../images","callback":"u"}"#).expect_err("a path");
    assert!(escaping.to_string().contains("not a container's id"));
}

#[test]
fn our_own_running_job_keeps_its_origin() {
    for sealed in [false, true] {
        let (correction, engine) = (CorrectionId::new("x"), EngineId::new("e"));
        let job = RunningJob {
            errand: Errand { callback: Some("u".into()), ..Errand::default() },
            container: ContainerId::new("c"),
            origin: Some(Origin { correction, engine, timeout_ms: 1500, sealed }),
        };
        let read = RunningJob::parse(&job.to_data()).expect("own data");
        assert_eq!(read, job);
        assert_eq!(read.origin.and_then(|origin| origin.timeout()), Some(Duration::from_millis(1500)));
        assert_eq!(job.to_data().contains("sealed"), sealed, "written only where it says something");
    }
}

#[test]
fn a_finished_job_of_a_failure_says_what_the_original_says_and_the_outcome() {
    let errand = Errand { callback: Some("u".into()), ..Errand::default() };
    let job = FinishedJob::of_failure(errand, &Failure::new(Outcome::Timeout, "too \"long\""));
    assert_eq!(
        job.to_data(),
        r#"{"error":true,"correction_data":"too \"long\"","callback":"u","outcome":"timeout"}"#
    );
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(data in ".*") {
        let _ = (PendingJob::parse(&data), RunningJob::parse(&data), FinishedJob::parse(&data));
    }

    #[test]
    fn no_object_makes_a_parser_panic(
        field in prop::sample::select(vec!["image", "file", "callback", "params", "container_id", "runner", "error"]),
        value in prop_oneof![
            Just("null".to_owned()), Just("[]".to_owned()), Just("{}".to_owned()), Just("\"\\ud800\"".to_owned()),
            any::<f64>().prop_map(|number| number.to_string()), "\"[a-z/:]*\"",
            Just(format!("{}{}", "[".repeat(5000), "]".repeat(5000))),
        ],
    ) {
        let data = format!(r#"{{"callback":"http://h/","{field}":{value}}}"#);
        let _ = (PendingJob::parse(&data), RunningJob::parse(&data), FinishedJob::parse(&data));
    }
}
