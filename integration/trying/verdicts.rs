//! Verdicts, and what is wrong with them: exit codes, places, the callback's body.

use serde_json::json;

use super::{Bench, GOOD};

fn block(verdict: &str) -> String {
    format!(
        "echo '-----BEGIN CORRECTOMATIC RESPONSE-----'\ncat <<'EOT'\n{verdict}\nEOT\necho '-----END CORRECTOMATIC RESPONSE-----'\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_shown_with_its_exit_code_and_with_the_callbacks_body_byte_for_byte() {
    let (good, bad) = tokio::join!(
        Bench::new(format!(
            "echo compiling; echo oops >&2; {}",
            block(r#"{"success": true, "grade": 7.50}"#)
        )),
        Bench::new(r#"echo '{"success": false, "error": "no archive"}'"#),
    );
    let (good, bad) = tokio::join!(good.tried(&["--work-id", "w0"]), bad.tried(&[]));
    good.has(
        0,
        &[
            "PASS",
            "grade  7.5\n",
            "found in  what stands between the separator lines in the standard output",
            "\nstandard output\n│ compiling\n",
            "\nstandard error\n│ oops\n",
            "{\"grade\":7.5,\"success\":true,\"work_id\":\"w0\"}\n",
        ],
    );
    bad.has(1, &["FAIL", "error  no archive", "{\"error\":\"no archive\",\"success\":false}\n"]);
    // What another test's killed one left behind may be told there.
    for error in [good.error, bad.error] {
        assert!(!error.contains(['\r', '\u{1b}']) && !error.contains("running"), "no progress here: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_verdict_is_told_with_its_place_and_is_no_fail() {
    let invalid = "{\n  \"success\": true,\n  \"grade\": \"ten\"\n}";
    let (invalid, broken, two, none) = tokio::join!(
        Bench::new(format!("echo log\n{}", block(invalid))),
        Bench::new("printf '{\\n  \"success\": true,\\n  \"grade\": 7,,\\n}'"),
        Bench::new(format!("echo log\n{}echo\n{}", block("{}"), block("{}"))),
        Bench::new("exit 3"),
    );
    let (invalid, broken, two, none) =
        tokio::join!(invalid.tried(&[]), broken.tried(&[]), two.tried(&[]), none.tried(&[]));
    invalid.has(
        2,
        &[
            "BROKEN GRADER  invalid_verdict",
            "1. the whole standard output\n   it is not JSON: line 1, column 1",
            "2. what stands between the separator lines in the standard output\n   /grade: the field \"grade\" must be a \
             number, but it is the string \"ten\"\n   3 │   \"grade\": \"ten\"\n     │            ^^^^^\n",
            "\"outcome\":\"invalid_verdict\"",
        ],
    );
    broken.has(2, &["it is not JSON: line 3, column 14", "   3 │   \"grade\": 7,,\n     │              ^\n"]);
    two.has(
        2,
        &[
            "It printed 2 verdicts",
            "a block begins in line 2 of the standard output",
            "a block begins in line 6 of the standard output",
        ],
    );
    none.has(2, &["BROKEN GRADER  no_verdict", "exit code  3", "It printed nothing."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn params_reach_the_grader_and_a_verdict_that_needs_a_secret_counts_only_with_it() {
    let says = r#"echo "{\"success\": true, \"comments\": [\"$A-$B\"]}""#;
    let sealed = "s=$(cat /run/correctomatic/secret); echo \"-----BEGIN CORRECTOMATIC RESPONSE $s-----\"; \
                  echo '{\"success\": true, \"grade\": 1}'; echo \"-----END CORRECTOMATIC RESPONSE $s-----\"";
    let (params, sealed, plain) = tokio::join!(Bench::new(says), Bench::new(sealed), Bench::new(GOOD));
    let secret = ["--container-verdict", "secret"];
    let (params, sealed, plain) = tokio::join!(
        params.tried(&["--param", "A=1", "--param", "B=x=y"]),
        sealed.tried(&secret),
        plain.tried(&secret)
    );
    params.has(0, &["comment  1-x=y"]);
    sealed.has(0, &["grade  1", "BEGIN CORRECTOMATIC RESPONSE [secret]-----"]);
    plain.has(2, &["no_verdict", "It printed a verdict without the secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_document_says_all_of_it_under_stable_names() {
    let (good, invalid) =
        tokio::join!(Bench::new(GOOD), Bench::new(r#"echo '{"success": true, "comments": [1]}'"#));
    let ((code, told), (bad_code, bad)) =
        tokio::join!(good.told(&["--param", "A=1", "--container-memory", "64m"]), invalid.told(&[]));
    assert_eq!((code, bad_code), (Some(0), Some(2)));
    let names: Vec<&str> = told.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = [
        "callback_body",
        "candidates",
        "container",
        "error",
        "file",
        "hints",
        "image",
        "image_id",
        "outcome",
        "output",
        "params",
        "result",
        "rule",
        "run",
        "verdict",
        "verdict_from",
    ];
    assert_eq!(names, expected);
    assert_eq!((&told["result"], &told["verdict_from"]), (&json!("pass"), &json!("stdout")));
    assert_eq!(told["verdict"], json!({"success": true, "grade": 7.5, "comments": ["ok"]}));
    assert_eq!(told["file"], json!(good.file().to_str()));
    assert_eq!((&told["params"], &told["container"]["memory"]), (&json!(["A=1"]), &json!(64 << 20)));
    assert_eq!(told["callback_body"], r#"{"comments":["ok"],"grade":7.5,"success":true}"#);
    assert_eq!((&told["run"]["exit_code"], &told["run"]["signal"]), (&json!(0), &json!(null)));
    assert_eq!(told["output"]["stdout"]["text"].as_str().map(|text| text.contains("7.5")), Some(true));
    assert_eq!((&bad["result"], &bad["outcome"]), (&json!("broken_grader"), &json!("invalid_verdict")));
    let fault = &bad["candidates"][0]["faults"][0];
    assert_eq!(
        (&fault["pointer"], &fault["line"], &fault["column"]),
        (&json!("/comments/0"), &json!(1), &json!(32))
    );
}
