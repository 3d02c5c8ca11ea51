//! Verdicts: everything that the original accepts, what is refused and in which words, no panic.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use url::Url;
use valico::json_schema::{SchemaVersion, Scope};

use super::*;
use crate::output::Capture;

const GOOD: &str = r#"{"success":true,"grade":7.50,"comments":["a"]}"#;

fn block(json: &str) -> String {
    format!("-----BEGIN CORRECTOMATIC RESPONSE-----\n{json}\n-----END CORRECTOMATIC RESPONSE-----\n")
}

fn of(stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Result<String, NoVerdict> {
    read(&Output::whole(stdout, stderr)).map(|verdict| verdict.json.get().to_owned())
}

fn refusal(stdout: &str) -> String {
    of(stdout, "").expect_err(stdout).to_string()
}

#[test]
fn a_verdict_is_accepted_wherever_the_contract_lets_it_stand() {
    let good = Ok(GOOD.to_owned());
    assert_eq!(of(GOOD, ""), good);
    assert_eq!(of(format!(" \n\u{feff}\u{a0}{GOOD}\r\n\u{2028}"), ""), good);
    assert_eq!(of(GOOD, "a warning"), good);
    assert_eq!(of(format!("log\n{}more", block(GOOD)), block("[]")), good);
    assert_eq!(of("", GOOD), good);
    assert_eq!(of("{\"success\":true,", "\"grade\":1}"), Ok(r#"{"success":true,"grade":1}"#.to_owned()));
    assert_eq!(of("log", block(GOOD)), good);
    assert_eq!(of(block(GOOD).replace('\n', "\r\n"), "\r\n"), good);
    assert_eq!(of("{}", block(GOOD)), good);
}

#[test]
fn json_that_holds_separators_in_a_string_is_one_verdict() {
    let json = format!(r#"{{"success":false,"error":{}}}"#, json!(block("{}") + &block("{}")));
    assert_eq!(of(json.clone(), ""), Ok(json));
}

#[test]
fn the_verdict_keeps_the_text_that_was_printed() {
    let json =
        "{ \"success\" : true,\n \"grade\": 100.0, \"big\": 12345678901234567890123, \"\\u00e9\": [1e5] }";
    assert_eq!(of(json, ""), Ok(json.to_owned()));
    assert_eq!(
        of(b"{\"success\":false,\"error\":\"\xff\"}".to_vec(), ""),
        Ok("{\"success\":false,\"error\":\"\u{fffd}\"}".to_owned())
    );
    assert_eq!(
        of(r#"{"success":false,"error":"x","success":true,"grade":1}"#, "").map(|json| json.len()),
        Ok(54)
    );
}

#[test]
fn a_number_too_large_for_javascript_is_null_as_in_the_original_unless_it_is_the_grade() {
    let json = r#"{"success":true,"grade":1,"x":[1e400,"1e400\"-1e400",-1E+999],"1e400":2}"#;
    let passed = r#"{"success":true,"grade":1,"x":[null,"1e400\"-1e400",null],"1e400":2}"#;
    assert_eq!(of(json, ""), Ok(passed.to_owned()));
    let text = refusal(r#"{"success":true,"grade":1e400}"#);
    assert!(text.contains("\"grade\" cannot be passed on: the number 1e400 is too large"), "{text}");
}

#[test]
fn each_fault_of_a_verdict_is_named_in_words() {
    for (json, expected) in [
        (
            r#"{"success":true,"grade":"7.5"}"#,
            "the field \"grade\" must be a number, but it is the string \"7.5\".",
        ),
        (
            r#"{"success":true,"comments":["a",7]}"#,
            "the field \"comments[1]\" must be a string, but it is the number 7.",
        ),
        (
            r#"{"success":true,"comments":"a"}"#,
            "the field \"comments\" must be an array of strings, but it is the string \"a\".",
        ),
        (r#"{"success":true,"grade":null}"#, "the field \"grade\" must be a number, but it is null."),
        (
            r#"{"success":true}"#,
            "verdict: at least one of the fields \"grade\" and \"comments\" must be there.",
        ),
        (r#"{"success":false}"#, "verdict: the field \"error\" is missing."),
        (r#"{"success":false,"error":["x"]}"#, "the field \"error\" must be a string, but it is an array."),
        (
            r#"{"success":"true","grade":"x"}"#,
            "verdict: the field \"success\" must be true or false, but it is the string \"true\".",
        ),
        (r#"{"grade":7}"#, "verdict: the field \"success\" is missing."),
        ("7", "verdict: it must be a JSON object, but it is the number 7."),
        (
            r#"{"success":true,"grade":1,"x":"\ud800"}"#,
            "the field \"x\" cannot be passed on: a string holds the escape \\ud800",
        ),
    ] {
        for text in [refusal(json), refusal(&block(json))] {
            assert!(text.contains(expected), "{text} / {expected}");
        }
    }
    let many = format!(r#"{{"success":true,"grade":[],"comments":["a",{}null]}}"#, "1,".repeat(300_000));
    assert!(refusal(&many).contains(
        "verdict: the field \"comments[1]\" must be a string, but it is the number 1; \
         the field \"comments[300001]\" must be a string, but it is null; the field \"grade\" must be a number"
    ));
    let deep = format!(r#"{{"success":true,"grade":1,"x":{}{}}}"#, "[".repeat(127), "]".repeat(127));
    assert!(refusal(&deep).contains("nested more than 127 levels deep"));
}

#[test]
fn what_is_not_json_is_told_with_its_place() {
    for (stdout, expected) in [
        ("hello", "output is not JSON (line 1, column 1: this is no JSON value)"),
        (
            "\n\n {\"success\":true,\n  \"grade\":é}",
            "output is not JSON (line 4, column 11: this is no JSON value)",
        ),
        ("{\"é\":1,}", "(line 1, column 8: there is a comma too many)"),
        ("{\"success\":true", "(line 1, column 16: the text ends too early)"),
        ("{success:true}", "(line 1, column 2: the name of a field must stand in double quotes)"),
        ("{} {}", "(line 1, column 4: there is more text after the JSON value)"),
        ("{\"error\":\"a\nb\"}", "(line 1, column 11: a line break or control character"),
    ] {
        let text = refusal(stdout);
        assert!(text.contains(expected), "{text} / {expected}");
    }
    let text = refusal(&format!("log\n{}", block("{'success':true}")));
    assert!(text.contains("between the two separator lines is not JSON (line 1 of it, column 2:"), "{text}");
    assert!(
        refusal(&block("\n")).contains("(line 2 of it, column 1: there is nothing)"),
        "{}",
        refusal(&block("\n"))
    );
}

#[test]
fn the_likeliest_of_several_problems_is_told() {
    let twice = block(GOOD) + &block(GOOD);
    assert_eq!(of(twice.clone(), ""), Err(NoVerdict::ManyBlocks { count: 2 }));
    assert_eq!(of(block("x"), block("y")).map_err(|problem| problem.is_of_a_verdict()), Err(true));
    for stdout in [
        "-BEGIN CORRECTOMATIC RESPONSE-\n{}",
        "-BEGIN CORRECTOMATIC RESPONSE-\n-END CORRECTOMATIC RESPONSE-\n",
        "-BEGIN CORRECTOMATIC RESPONSE-\n{}\n  -END CORRECTOMATIC RESPONSE-\n",
    ] {
        assert_eq!(of(stdout, ""), Err(NoVerdict::Unclosed), "{stdout}");
    }
    assert_eq!(of(" \n", "\n"), Err(NoVerdict::Silent));
    for (stdout, stderr, meant) in
        [("hello", "", false), ("", "oops", false), ("x", "{\"success\":1", true), ("{}", "x", true)]
    {
        assert_eq!(of(stdout, stderr).map_err(|problem| problem.is_of_a_verdict()), Err(meant), "{stdout}");
    }
}

#[test]
fn a_verdict_survives_a_flood_and_a_flood_without_one_is_told() {
    let read_of = |stdout: &str, stderr: &str| {
        let mut capture = Capture::new(500);
        capture.stdout(stdout.as_bytes());
        capture.stderr(stderr.as_bytes());
        read(&capture.finish())
    };
    let noise = "noise\n".repeat(1000);
    assert!(read_of(&format!("{noise}{}{noise}", block(GOOD)), &noise).is_ok());
    assert!(read_of(GOOD, &noise).is_ok());
    assert!(read_of(&noise, &format!("{}{noise}", block(GOOD))).is_ok());
    assert_eq!(read_of(&noise, "").expect_err("noise"), NoVerdict::TooLong { total: 6000, limit: 500 });
    assert_eq!(read_of(&block(&noise), "").expect_err("noise"), NoVerdict::BlockTooLong { limit: 500 });
    let twice = read_of(&format!("{}{noise}", block(GOOD)), &block(GOOD));
    assert!(twice.is_ok(), "the one block in the standard output comes before those in both");
    let twice = read_of(&format!("{noise}{}{}", block(GOOD), block(GOOD)), "");
    assert_eq!(twice.expect_err("two"), NoVerdict::ManyBlocks { count: 2 });
}

#[test]
fn both_schemas_are_valid_and_say_the_same_of_a_verdict() {
    let mut scope = Scope::without_formats(SchemaVersion::Draft7);
    let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let metaschema = parsed(include_str!("../../integration/data/json-schema-draft-07.json"));
    let metaschema = scope.compile(metaschema, false).expect("the metaschema");
    let [container, callback] = [
        include_str!("../../schemas/container_response.json"),
        include_str!("../../schemas/correctomatic_response.json"),
    ]
    .map(|schema| {
        let schema = parsed(schema);
        let state = scope.resolve(&metaschema).expect("compiled").validate(&schema);
        assert!(state.is_strictly_valid(), "{state:?}");
        scope.compile(schema, true).expect("a schema")
    });
    assert!(!scope.resolve(&metaschema).expect("compiled").validate(&json!({"type": "text"})).is_valid());
    let valid = |schema: &Url, value: &Value| {
        scope.resolve(schema).expect("compiled").validate(value).is_strictly_valid()
    };
    for (text, expected) in [
        (GOOD, true),
        (r#"{"success":false,"error":"x","work_id":{"a":[1]},"outcome":"timeout"}"#, true),
        (r#"{"success":true,"grade":1,"error":7,"more":null}"#, true),
        (r#"{"success":true,"error":"x"}"#, false),
        (r#"{"success":false,"grade":1}"#, false),
        (r#"{"success":1,"grade":1}"#, false),
    ] {
        let value = parsed(text);
        assert_eq!((valid(&container, &value), valid(&callback, &value)), (expected, expected), "{text}");
        assert_eq!(schema::check(value).is_ok(), expected, "{text}");
    }
    assert!(!valid(&callback, &json!({"success": false, "error": "x", "outcome": 7})));
}

#[test]
fn each_candidate_is_told_in_its_order_with_its_text_and_the_places_of_its_faults() {
    let output = Output::whole(
        format!("log\n{}", block(r#"{"success": true, "a/b": 1e400, "comments": [1]}"#)),
        "oops",
    );
    let (read, tried) = tell(&output);
    assert!(read.is_err());
    let order: Vec<_> = tried.iter().map(|tried| (tried.candidate, tried.problem.is_some())).collect();
    let all = [Candidate::Stdout, Candidate::BlockInStdout, Candidate::Both, Candidate::BlockInBoth];
    assert_eq!(order, all.map(|candidate| (candidate, true)));
    let text = tried[1].text.as_deref().expect("a text");
    let pointers: Vec<_> = faults(text).into_iter().map(|fault| fault.pointer).collect();
    assert_eq!(pointers, ["/comments/0"]);
    assert_eq!(faults(r#"{"success": true, "a/b~": "\ud800"}"#)[0].pointer, "/a~1b~0");
    assert_eq!((faults(GOOD), faults("{")), (Vec::new(), Vec::new()));
    let (read, tried) = tell(&Output::whole(GOOD, "oops"));
    assert!(read.is_ok() && tried.len() == 1 && tried[0].problem.is_none());
    let two = tell(&Output::whole(block(GOOD) + "\n" + &block(GOOD), "")).1;
    assert_eq!(
        (two[1].text.clone(), two[1].problem.clone()),
        (None, Some(NoVerdict::ManyBlocks { count: 2 }))
    );
}

#[test]
fn a_good_verdict_is_read_in_no_time() {
    // 20 µs in a release build leave room for 1,500 corrections a second; here without optimisation,
    // on a machine that is busy with other tests, so the best of many.
    let outputs = [Output::whole(GOOD, ""), Output::whole(format!("log\n{}", block(GOOD)), "")];
    let best = (0..200).map(|round| {
        let start = Instant::now();
        assert!(read(&outputs[round % 2]).is_ok());
        start.elapsed()
    });
    assert!(best.min() < Some(Duration::from_micros(500)));
}

/// What the original accepts, written from its behaviour: JSON or the one block, valid.
fn original(stdout: &str, stderr: &str) -> Option<Value> {
    static BLOCK: LazyLock<regex::Regex> = LazyLock::new(|| {
        let expression = "-+BEGIN CORRECTOMATIC RESPONSE-+\n((?s:.)*?)\n-+END CORRECTOMATIC RESPONSE-+";
        regex::Regex::new(expression).expect("an expression")
    });
    let both = format!("{stdout}{stderr}");
    let value: Value = serde_json::from_str(&both).ok().or_else(|| {
        let found: Vec<_> = BLOCK.captures_iter(&both).collect();
        let [one] = &found[..] else { return None };
        serde_json::from_str(one[1].trim()).ok()
    })?;
    let all = |name: &str, of_type: fn(&Value) -> bool| value.get(name).is_none_or(of_type);
    let strings = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    let valid = match value.get("success")? {
        Value::Bool(true) => {
            all("grade", Value::is_number)
                && all("comments", strings)
                && (value.get("grade").is_some() || value.get("comments").is_some())
        }
        Value::Bool(false) => value.get("error").is_some_and(Value::is_string),
        _ => false,
    };
    valid.then_some(value)
}

fn printed() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        GOOD,
        "{\"success\":true,\"comments\":[]}",
        "{\"success\":false,\"error\":\"\"}",
        "{\"success\":false}",
        "-BEGIN CORRECTOMATIC RESPONSE-\n",
        "\n--END CORRECTOMATIC RESPONSE--",
        "\n",
        "\r\n",
        " ",
        "log ",
        "{",
        "-",
        "-BEGIN CORRECTOMATIC RESPONSE-\r\n",
    ]);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat()),
        1 => prop::sample::select(vec!["", GOOD, "{\"success\":true,", "\"grade\":1}"]).prop_map(str::to_owned),
        1 => Just(format!("x{}y", block(GOOD))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn everything_that_the_original_accepts_is_accepted(stdout in printed(), stderr in printed()) {
        let ours = read(&Output::whole(stdout.clone(), stderr.clone()));
        if let Some(theirs) = original(&stdout, &stderr) {
            match ours {
                Ok(verdict) => {
                    let ours: Value = serde_json::from_str(verdict.json.get()).expect("JSON");
                    // Where the standard output holds a verdict, the standard error is not looked at.
                    let of_stdout = original(&stdout.replace("\r\n", "\n"), "");
                    prop_assert!(ours == theirs || Some(&ours) == of_stdout.as_ref(), "{} {}", ours, theirs);
                }
                // A complete block whose lines end with CRLF, which the original overlooks, beside another.
                Err(problem) => {
                    let crlf = format!("{stdout}{stderr}").contains("-BEGIN CORRECTOMATIC RESPONSE-\r\n");
                    prop_assert!(crlf && matches!(problem, NoVerdict::ManyBlocks { .. }), "{:?}", problem);
                }
            }
        }
    }

    #[test]
    fn no_output_makes_it_panic(
        stdout in prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "[\\[\\]{}\",:\\\\u0-9d8eé\u{feff}\n.+a-]{0,40}".prop_map(String::into_bytes)],
        name in prop::sample::select(vec!["success", "grade", "comments", "error", "x/y~0"]),
        value in prop_oneof![".*".prop_map(|text| json!(text).to_string()), any::<f64>().prop_map(|number| number.to_string()), "[\\[\\]{}\",:0-9e.tru]{0,12}"],
        limit in 0_u64..90,
    ) {
        for stdout in [stdout.clone(), format!(r#"{{"success":true,"{name}":{value}}}"#).into_bytes(), block(&value).into_bytes()] {
            let mut capture = Capture::new(limit);
            capture.stdout(&stdout);
            if let Err(problem) = read(&capture.finish()) {
                prop_assert!(!problem.to_string().is_empty());
            }
            let _ = read(&Output::whole("", stdout));
        }
    }
}
