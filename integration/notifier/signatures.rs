//! Signatures of real deliveries, checked by the verifiers of our page and by the libraries of Standard Webhooks.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use correction_runner::egress::parse_all;
use correction_runner::signing::{
    Checker, Claim, Ed25519Key, HmacKey, SigningKey, SigningKeys, checking_keys, signing_keys,
};

use super::receiver::{Answer, Asked, Receiver};
use super::verifiers::{Case, Language, of_the_library, of_the_page, signed_by_the_library};
use super::{ID, NO_WAIT, PATIENT, System, VERDICT_BODY, verdict};

const V1: &str = "\n## A shared secret (v1)";
const V1A: &str = "\n## A key pair (v1a)";

struct Keys {
    old: HmacKey,
    new: HmacKey,
    pair: Ed25519Key,
}

impl Keys {
    fn new() -> Self {
        let hmac = || HmacKey::generate().expect("random");
        Self { old: hmac(), new: hmac(), pair: Ed25519Key::generate().expect("random") }
    }

    /// All of them, as in the middle of an exchange.
    fn all(&self) -> SigningKeys {
        SigningKeys::new([
            SigningKey::Hmac(self.old.clone()),
            SigningKey::Ed25519(self.pair.clone()),
            SigningKey::Hmac(self.new.clone()),
        ])
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn case_of(asked: &Asked, key: &str) -> Case {
    Case {
        id: asked.header("webhook-id").into(),
        timestamp: asked.header("webhook-timestamp").into(),
        signature: asked.header("webhook-signature").into(),
        body: asked.body.clone().into_bytes(),
        key: key.into(),
    }
}

/// A result that a real notifier delivers, signed with all keys.
async fn delivered(test: &str, keys: &SigningKeys) -> Asked {
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let signing = keys.clone();
    let system = System::start_with(test, PATIENT, |settings| settings.signing = signing);
    system.add(&verdict(&receiver.url("/")), 1, NO_WAIT).await;
    receiver.next().await
}

/// A genuine callback and every way in which one is not, with whether it is to be believed.
fn cases(genuine: &Case, keys: &SigningKeys, stranger: &str) -> Vec<(&'static str, Case, bool)> {
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = genuine.clone();
        change(&mut case);
        case
    };
    let signed_at = |time: u64| {
        with(&|case: &mut Case| {
            case.timestamp = time.to_string();
            case.signature = keys.sign(&case.id, time, &case.body).expect("signed");
        })
    };
    vec![
        ("genuine", genuine.clone(), true),
        ("signed a minute ago", signed_at(now() - 60), true),
        ("signed too long ago", signed_at(now() - 360), false),
        ("signed in the future", signed_at(now() + 400), false),
        ("another byte in the body", with(&|case| case.body[3] ^= 1), false),
        ("a byte more", with(&|case| case.body.push(b' ')), false),
        ("another id", with(&|case| case.id.push('x')), false),
        ("another time", with(&|case| case.timestamp = (now() - 7).to_string()), false),
        ("another key", with(&|case| case.key = stranger.into()), false),
        ("no signature of ours", with(&|case| case.signature = "v2,AAAA".into()), false),
        ("an empty signature", with(&|case| case.signature = "v1, v1a,".into()), false),
    ]
}

fn judge(verifier: &str, cases: &[(&'static str, Case, bool)], answers: &[String]) {
    assert_eq!(cases.len(), answers.len(), "{verifier}");
    for ((what, _, believed), answer) in cases.iter().zip(answers) {
        assert_eq!(answer == "ok", *believed, "{verifier}: {what}: {answer}");
    }
}

#[tokio::test]
async fn every_verifier_of_the_page_believes_a_real_callback_and_nothing_that_was_changed() {
    let (keys, strange) = (Keys::new(), Keys::new());
    let asked = delivered("page", &keys.all()).await;
    assert_eq!((asked.body.as_str(), asked.header("webhook-id")), (VERDICT_BODY, ID), "body and id stay");
    assert!(asked.header("webhook-timestamp").parse::<u64>().expect("seconds").abs_diff(now()) < 60);
    let given = [
        (V1, keys.old.secret_text().to_string(), strange.old.secret_text().to_string()),
        (V1, keys.new.secret_text().to_string(), strange.new.secret_text().to_string()),
        (V1A, keys.pair.public_text(), strange.pair.public_text()),
    ];
    for (section, key, stranger) in given {
        let all = cases(&case_of(&asked, &key), &keys.all(), &stranger);
        let plain: Vec<Case> = all.iter().map(|(_, case, _)| case.clone()).collect();
        for language in Language::EACH {
            judge(&format!("{section} {language:?}"), &all, &of_the_page(section, language, &plain));
        }
    }
}

#[tokio::test]
async fn the_libraries_of_standard_webhooks_and_ours_believe_each_other() {
    let (keys, strange) = (Keys::new(), Keys::new());
    let asked = delivered("library", &keys.all()).await;
    let key = keys.new.secret_text();
    let all = cases(&case_of(&asked, &key), &keys.all(), &strange.new.secret_text());
    let plain: Vec<Case> = all.iter().map(|(_, case, _)| case.clone()).collect();
    let ours = Checker::new(checking_keys(&key, None).expect("a key"), Duration::from_secs(300));
    for language in [Language::Python, Language::Node] {
        judge(&format!("library, {language:?}"), &all, &of_the_library(language, &plain));
        let (time, signature) = signed_by_the_library(language, "msg_1", "{\"é\":1}", &key);
        let claim = |id| Claim { id: Some(id), timestamp: Some(&time), signature: Some(&signature) };
        assert!(ours.check(claim("msg_1"), "{\"é\":1}".as_bytes(), now()).is_ok(), "{language:?}");
        assert!(ours.check(claim("msg_2"), "{\"é\":1}".as_bytes(), now()).is_err(), "{language:?}");
    }
}

#[tokio::test]
async fn each_attempt_has_its_own_time_under_the_same_name_and_without_keys_there_is_no_signature() {
    let mut receiver = Receiver::start(|_, count| Answer::status(if count == 0 { 500 } else { 200 })).await;
    let keys = Keys::new();
    let all = keys.all();
    let system = System::start_with("attempts", PATIENT, |settings| settings.signing = all);
    system.add(&verdict(&receiver.url("/")), 2, Duration::from_millis(1100)).await;
    let (first, second) = (receiver.next().await, receiver.next().await);
    let time = |asked: &Asked| asked.header("webhook-timestamp").parse::<u64>().expect("seconds");
    assert!(time(&second) > time(&first));
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    let believes = Checker::new(checking_keys(&keys.pair.public_text(), None).expect("a key"), PATIENT);
    for asked in [&first, &second] {
        let case = case_of(asked, "");
        let claim =
            Claim { id: Some(&case.id), timestamp: Some(&case.timestamp), signature: Some(&case.signature) };
        assert!(believes.check(claim, &case.body, now()).is_ok());
    }
    let system = System::start("unsigned", PATIENT);
    system.add(&verdict(&receiver.url("/")), 1, NO_WAIT).await;
    let plain = receiver.next().await;
    assert_eq!((plain.header("webhook-signature"), plain.header("webhook-timestamp")), ("", ""));
    assert_eq!(plain.header("webhook-id"), ID);
}

#[tokio::test]
async fn a_signed_result_is_believed_where_a_redirect_leads_and_goes_nowhere_that_is_denied() {
    let mut last = Receiver::start(|_, _| Answer::status(200)).await;
    let mut denied = Receiver::start(|_, _| Answer::status(200)).await;
    let (to_last, to_denied) = (last.url("/last"), denied.url("/"));
    let first = Receiver::start(move |asked, _| match asked.path.as_str() {
        "/on" => Answer::to(307, to_last.clone()),
        _ => Answer::to(307, to_denied.clone()),
    })
    .await;
    let keys = Keys::new();
    let (all, deny) = (keys.all(), parse_all(&format!("127.0.0.1:{}", denied.port)).expect("a rule"));
    let system = System::start_with("redirected", PATIENT, |settings| {
        settings.signing = all;
        settings.egress.deny = deny;
    });
    system.add(&verdict(&first.url("/on")), 1, NO_WAIT).await;
    let asked = last.next().await;
    assert_eq!((asked.path.as_str(), asked.body.as_str()), ("/last", VERDICT_BODY));
    let believes = Checker::new(checking_keys(&keys.pair.public_text(), None).expect("a key"), PATIENT);
    let case = case_of(&asked, "");
    let claim =
        Claim { id: Some(&case.id), timestamp: Some(&case.timestamp), signature: Some(&case.signature) };
    assert!(believes.check(claim, &case.body, now()).is_ok());
    system.add_as(Some("denied"), &verdict(&first.url("/off")), 1, NO_WAIT).await;
    system.until(|counts| counts.failed == 1).await;
    let why = system.hash("denied")["failedReason"].clone();
    assert!(why.contains("which is refused: ") && why.contains("CALLBACK_DENY"), "{why}");
    assert!(denied.came().is_none() && denied.connections() == 0);
}

#[tokio::test]
async fn keys_of_the_script_sign_and_openssl_reads_them_and_verify_tells_a_receiver() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/generate_keys");
    let generate = || {
        let mut command = Command::new(script);
        command.arg(folder.path()).current_dir(folder.path()).env("PRIVATE_KEY_PASSWORD", "a canary");
        command.env("CORRECTION_RUNNER", env!("CARGO_BIN_EXE_correction-runner")).output().expect("it runs")
    };
    let made = generate();
    let told = String::from_utf8_lossy(&made.stdout).into_owned() + &String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success() && told.contains("publicKey.pem") && !told.contains("canary"), "{told}");
    let private = std::fs::read_to_string(folder.path().join("privateKey.pem")).expect("a key");
    assert!(private.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let permissions =
        std::fs::metadata(folder.path().join("privateKey.pem")).expect("there").permissions().mode();
    assert_eq!(permissions & 0o777, 0o600, "for its owner only");
    let again = generate();
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is there already"));
    assert_eq!(std::fs::read_to_string(folder.path().join("privateKey.pem")).expect("a key"), private);
    let openssl = Command::new("openssl")
        .args(["pkey", "-in", "privateKey.pem", "-passin", "pass:a canary", "-pubout"])
        .current_dir(folder.path())
        .output()
        .expect("openssl is installed");
    let public = std::fs::read_to_string(folder.path().join("publicKey.pem")).expect("a key");
    assert_eq!(String::from_utf8_lossy(&openssl.stdout), public, "OpenSSL finds the same public key");

    let keys = SigningKeys::new(signing_keys(&private, Some("a canary")).expect("readable"));
    let asked = delivered("pem", &keys).await;
    let request = |body: &str| {
        let mut lines = String::new();
        for (name, value) in &asked.headers {
            let _ = write!(lines, "{name}: {}\r\n", value.to_str().expect("text"));
        }
        format!("POST / HTTP/1.1\r\n{lines}\r\n{body}")
    };
    let verify = |more: &[&str], input: String| {
        use std::io::Write;
        let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
        command.args(["verify", "--request", "--keys-file", "publicKey.pem"]).args(more).env_clear();
        let mut child = command
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let told =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), told)
    };
    assert_eq!(verify(&[], request(&asked.body)), (Some(0), "genuine: v1a by key 1\n".into()));
    let (code, told) = verify(&[], request(&asked.body.replace("7.5", "9.5")));
    assert!(code == Some(1) && told.starts_with("not genuine: no signature fits"), "{told}");
    let (code, told) = verify(&[], request(&format!("{}\n", asked.body)));
    assert!(code == Some(1) && told.contains("without the line break"), "{told}");
    let (code, told) = verify(&["--key", "whsec_canary"], request(&asked.body));
    assert!(code == Some(64) && told.contains("--key: key 1") && !told.contains("canary"), "{told}");
    let (code, told) = verify(&[], asked.body.clone());
    assert!(code == Some(64) && told.contains("there is no empty line"), "{told}");
}

#[test]
fn keygen_makes_files_for_their_owner_only_and_never_overwrites_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let keygen = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
        command.arg("keygen").args(arguments).env_clear().current_dir(folder.path());
        let output = command.output().expect("the binary starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, printed, _) = keygen(&["hmac"]);
    assert!(code == Some(0) && signing_keys(&printed, None).is_ok_and(|keys| keys.len() == 1), "{printed}");
    let (_, printed, _) = keygen(&["ed25519"]);
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("whsk_") && lines[1].starts_with("whpk_"));
    let (code, printed, _) = keygen(&["ed25519", "--out", "new/place"]);
    assert_eq!(code, Some(0));
    let path = |name: &str| folder.path().join("new/place").join(name);
    let secret = std::fs::read_to_string(path("ed25519.key")).expect("a key");
    assert!(secret.starts_with("whsk_") && !printed.contains(secret.trim()), "{printed}");
    for name in ["ed25519.key", "ed25519.pub"] {
        assert_eq!(std::fs::metadata(path(name)).expect("there").permissions().mode() & 0o777, 0o600);
    }
    std::fs::remove_file(path("ed25519.key")).expect("removed");
    let (code, _, told) = keygen(&["ed25519", "--out", "new/place"]);
    assert!(code == Some(64) && told.contains("ed25519.pub is there already"), "{told}");
    assert!(!path("ed25519.key").exists(), "half a pair is of no use");
    let (code, _, told) = keygen(&["ed25519", "--pem"]);
    assert!(code == Some(64) && told.contains("PRIVATE_KEY_PASSWORD"), "{told}");
    let (code, _, told) = keygen(&["hmac", "--pem"]);
    assert!(code == Some(64) && told.contains("--pem is for ed25519"), "{told}");
}
