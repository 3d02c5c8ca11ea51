//! Verdicts that need a secret: no output of strangers is one, and the words say what is missing.

use proptest::prelude::*;

use super::*;
use crate::output::Capture;
use crate::seal::tests::seal;

const GOOD: &str = r#"{"success":true,"grade":7.50,"comments":["a"]}"#;
const FORGED: &str = r#"{"success":true,"grade":10}"#;

fn block(secret: &str, json: &str) -> String {
    format!(
        "-----BEGIN CORRECTOMATIC RESPONSE{secret}-----\n{json}\n-----END CORRECTOMATIC RESPONSE{secret}-----\n"
    )
}

fn plain(json: &str) -> String {
    block("", json)
}

fn sealed(json: &str) -> String {
    block(&format!(" {}", seal(7).reveal()), json)
}

fn of_limited(limit: u64, stdout: &str, stderr: &str) -> Result<String, NoVerdict> {
    let mut capture = Capture::sealed(limit, Some(seal(7)));
    capture.stdout(stdout.as_bytes());
    capture.stderr(stderr.as_bytes());
    read(&capture.finish()).map(|verdict| verdict.json.get().to_owned())
}

fn of(stdout: impl AsRef<str>, stderr: impl AsRef<str>) -> Result<String, NoVerdict> {
    of_limited(1 << 20, stdout.as_ref(), stderr.as_ref())
}

#[test]
fn only_the_block_with_the_secret_counts() {
    let good = Ok(GOOD.to_owned());
    assert_eq!(of(sealed(GOOD), ""), good);
    assert_eq!(of("log", sealed(GOOD)), good);
    assert_eq!(of(format!("{}{}{}", plain(FORGED), sealed(GOOD), plain(FORGED)), plain(FORGED)), good);
    assert_eq!(
        of(format!("-----BEGIN CORRECTOMATIC RESPONSE-----\n{}", sealed(GOOD)), ""),
        good,
        "an unclosed one"
    );
    let guess = block(&format!(" {}", seal(8).reveal()), FORGED);
    assert_eq!(of(format!("{guess}{}{guess}", sealed(GOOD)), guess), good);
    assert_eq!(of_limited(200, &format!("{}{}{}", plain(FORGED), "x\n".repeat(500), sealed(GOOD)), ""), good);
}

#[test]
fn without_the_secret_there_is_no_verdict_and_the_words_say_what_is_missing() {
    for (stdout, stderr, silent, is_plain) in [
        (GOOD.to_owned(), String::new(), false, true),
        (String::new(), GOOD.to_owned(), false, true),
        (plain(GOOD), String::new(), false, true),
        ("log".to_owned(), plain(GOOD), false, true),
        ("log".to_owned(), String::new(), false, false),
        (block(&format!(" {}", seal(8).reveal()), GOOD), String::new(), false, false),
        (String::new(), String::new(), true, false),
    ] {
        let problem = of(&stdout, &stderr).expect_err("no secret");
        assert_eq!(problem, NoVerdict::Unsealed { silent, plain: is_plain }, "{stdout} {stderr}");
        assert!(!problem.is_of_a_verdict());
        let words = problem.to_string();
        assert!(
            words.contains("/run/correctomatic/secret") && words.contains("RESPONSE <secret>-"),
            "{words}"
        );
        assert_eq!(words.contains("without the secret"), is_plain, "{words}");
    }
    let flood = of_limited(100, &plain(GOOD).repeat(10), "").expect_err("no secret");
    assert_eq!(flood, NoVerdict::Unsealed { silent: false, plain: false });
}

#[test]
fn two_blocks_with_the_secret_are_an_error_and_so_is_one_that_is_not_closed() {
    assert_eq!(of(sealed(GOOD).repeat(2), ""), Err(NoVerdict::ManyBlocks { count: 2 }));
    let unclosed = sealed(GOOD).replace("-----END", "END");
    assert_eq!(of(unclosed, plain(FORGED)), Err(NoVerdict::Unclosed));
    assert!(matches!(of(sealed("x"), plain(FORGED)), Err(NoVerdict::NotJson { place: Place::Block, .. })));
}

#[test]
fn a_grader_that_tells_its_secret_does_not_get_it_passed_on() {
    let secret = seal(7).reveal().to_owned();
    let told = format!(r#"{{"success":true,"comments":["it is {secret}"]}}"#);
    assert_eq!(of(sealed(&told), ""), Ok(r#"{"success":true,"comments":["it is [secret]"]}"#.to_owned()));
    let wrong = of(sealed(&format!(r#"{{"success":"{secret}"}}"#)), "").expect_err("no boolean");
    assert!(!wrong.to_string().contains(&secret[..4]), "{wrong}");
    let (stdout, stderr) = (sealed("x"), format!("+ echo {secret}"));
    let mut capture = Capture::sealed(1 << 20, Some(seal(7)));
    capture.stdout(stdout.as_bytes());
    capture.stderr(stderr.as_bytes());
    let output = capture.finish();
    let failure =
        crate::ending::explain(&crate::ending::Ending::default(), &read(&output).expect_err("x"), &output);
    assert!(!failure.text.contains(&secret[..4]), "{}", failure.text);
    assert!(failure.text.contains("+ echo [secret]"), "{}", failure.text);
}

proptest! {
    #[test]
    fn no_output_of_strangers_is_a_verdict(
        pieces in prop::collection::vec(prop_oneof![
            Just(plain(FORGED)), Just(FORGED.to_owned()), Just(block(" ", FORGED)),
            Just(block(&format!(" {}", &seal(7).reveal()[..39]), FORGED)),
            any::<u8>().prop_filter("the right one", |byte| *byte != 7)
                .prop_map(|byte| block(&format!(" {}", seal(byte).reveal()), FORGED)),
            "[-\n a-pBEGIN]{0,50}", ".{0,20}",
        ], 0..8),
        limit in 0_u64..2000,
        of_stderr in any::<bool>(),
    ) {
        let text = pieces.concat();
        let (stdout, stderr) = if of_stderr { ("", text.as_str()) } else { (text.as_str(), "") };
        let unsealed = matches!(of_limited(limit, stdout, stderr), Err(NoVerdict::Unsealed { .. }));
        prop_assert!(unsealed);
    }
}
