//! Signatures against the specification's own vectors, keys in every form, and what a receiver refuses.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PRIVATE: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIME: u64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNED_V1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const SIGNED_V1A: &str =
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

/// The seed of `openssl genpkey -algorithm ed25519`, in the three ways that OpenSSL 3 writes it (password
/// `correct horse`).
const PLAIN_PEM: &str = include_str!("test_keys/plain.pem");
const ENCRYPTED_PEM: &str = include_str!("test_keys/encrypted.pem");
const PUBLIC_PEM: &str = include_str!("test_keys/public.pem");
const RSA_PEM: &str = include_str!("test_keys/rsa.pem");
const OUTDATED_PEM: &str = include_str!("test_keys/outdated.pem");
const PASSWORD: Option<&str> = Some("correct horse");

fn keys(text: &str) -> SigningKeys {
    SigningKeys::new(signing_keys(text, PASSWORD).expect("good keys"))
}

fn faults(text: &str) -> Vec<(usize, usize, Fault)> {
    let problems = signing_keys(text, PASSWORD).expect_err("a fault");
    problems.into_iter().map(|problem| (problem.position, problem.line, problem.fault)).collect()
}

fn checker(text: &str) -> Checker {
    Checker::new(checking_keys(text, PASSWORD).expect("good keys"), Duration::from_secs(300))
}

fn claim<'a>(id: &'a str, timestamp: &'a str, signature: &'a str) -> Claim<'a> {
    Claim { id: Some(id), timestamp: Some(timestamp), signature: Some(signature) }
}

fn public_of(text: &str) -> String {
    match &signing_keys(text, PASSWORD).expect("a key")[..] {
        [SigningKey::Ed25519(key)] => key.public_text(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_vectors_of_the_specification_come_out_byte_for_byte() {
    assert_eq!(keys(SECRET).sign(ID, TIME, BODY).as_deref(), Some(SIGNED_V1));
    assert_eq!(keys(PRIVATE).sign(ID, TIME, BODY).as_deref(), Some(SIGNED_V1A));
    assert_eq!(SigningKeys::default().sign(ID, TIME, BODY), None);
}

#[test]
fn all_keys_sign_in_their_order_and_each_once() {
    let both = keys(&format!("  {PRIVATE}\n# the old one, until June\n{SECRET} # remark\n{PRIVATE}"));
    assert_eq!(both.sign(ID, TIME, BODY), Some(format!("{SIGNED_V1A} {SIGNED_V1}")));
    assert_eq!(both.len(), 2);
}

#[test]
fn keys_are_read_with_and_without_padding_and_as_the_seed_alone() {
    assert_eq!(keys(PRIVATE.trim_end_matches('=')), keys(PRIVATE));
    let seed = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    assert_eq!(keys(seed).sign(ID, TIME, BODY).as_deref(), Some(SIGNED_V1A));
}

#[test]
fn a_new_key_is_read_back_from_its_text_and_no_two_are_alike() {
    let (secret, other) = (HmacKey::generate().expect("random"), HmacKey::generate().expect("random"));
    assert!(secret != other);
    assert_eq!(keys(&secret.secret_text()), SigningKeys::new([SigningKey::Hmac(secret)]));
    let (pair, other) = (Ed25519Key::generate().expect("random"), Ed25519Key::generate().expect("random"));
    assert!(pair != other);
    assert_eq!(keys(&pair.secret_text()), SigningKeys::new([SigningKey::Ed25519(pair.clone())]));
    let pem = private_key_pem(&pair, "a password").expect("encrypted");
    let read = signing_keys(&pem, Some("a password")).expect("readable");
    assert!(read == [SigningKey::Ed25519(pair.clone())] && pem.lines().all(|line| line.len() <= 64));
    let checks = Checker::new(
        checking_keys(&public_key_pem(&pair), None).expect("a public key"),
        Duration::from_secs(300),
    );
    let signature = SigningKeys::new([SigningKey::Ed25519(pair)]).sign(ID, TIME, BODY).expect("signed");
    let time = TIME.to_string();
    assert!(checks.check(claim(ID, &time, &signature), BODY, TIME).is_ok());
}

#[test]
fn pem_files_of_openssl_are_read_with_and_without_a_password() {
    assert_eq!(keys(PLAIN_PEM), keys(ENCRYPTED_PEM));
    assert_eq!(keys(&PLAIN_PEM.replace('\n', "\r\n")), keys(PLAIN_PEM));
    let mixed = keys(&format!("# of the school\n{SECRET}\n{ENCRYPTED_PEM}\n{PRIVATE}\n"));
    assert_eq!(mixed.len(), 3);
    let signature = keys(PLAIN_PEM).sign(ID, TIME, BODY).expect("signed");
    let by = |key: &str| checker(key).check(claim(ID, "1614265330", &signature), BODY, TIME);
    assert_eq!(by(PUBLIC_PEM), Ok(Genuine { key: 1, version: Version::V1a }));
    assert_eq!(by(&public_of(PLAIN_PEM)), Ok(Genuine { key: 1, version: Version::V1a }));
}

#[test]
fn each_faulty_key_is_told_by_its_place_and_never_by_its_text() {
    let short = "whsec_c2hvcnQ=";
    let text =
        format!("{SECRET} canary\n{short}\nwhsk_!!canary {PLAIN_PEM_START}\nMC4=\n-----END PRIVATE KEY-----");
    let expected =
        vec![(2, 1, Fault::UnknownKind), (3, 2, Fault::SecretLength { bytes: 5 }), (4, 3, Fault::NotBase64)];
    let found = faults(&text);
    assert_eq!(found[..3], expected);
    let problems = signing_keys(&text, None).expect_err("faults");
    let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("key 2 (line 1): it begins with none of whsec_"), "{told}");
    assert!(!told.contains("canary") && !told.contains("c2hvcnQ"), "{told}");
}

const PLAIN_PEM_START: &str = "\n-----BEGIN PRIVATE KEY-----";

#[test]
fn every_kind_of_fault_has_a_name() {
    let public = public_of(PRIVATE);
    let halves = format!("whsk_{}", {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode([7_u8; 64])
    });
    let unfinished = PLAIN_PEM.lines().take(2).collect::<Vec<_>>().join("\n");
    let damaged = PLAIN_PEM.replacen("MC4CAQ", "MC4CAR", 1);
    for (text, fault) in [
        (public.as_str(), Fault::Public),
        (PUBLIC_PEM, Fault::Public),
        (&halves, Fault::HalvesDiffer),
        ("whsk_AAAA", Fault::PrivateKeyLength { bytes: 3 }),
        ("whpk_AAAA", Fault::PublicKeyLength { bytes: 3 }),
        (&unfinished, Fault::Unfinished),
        (&damaged, Fault::DamagedPem),
        (RSA_PEM, Fault::Algorithm("RSA".into())),
        (OUTDATED_PEM, Fault::Cipher),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", Fault::OtherPem),
    ] {
        assert_eq!(faults(text), [(1, 1, fault)], "{text}");
    }
    let encrypted = |password| signing_keys(ENCRYPTED_PEM, password).expect_err("a fault").remove(0).fault;
    assert_eq!((encrypted(None), encrypted(Some("wrong"))), (Fault::NoPassword, Fault::WrongPassword));
    let many = [SECRET; MOST_KEYS + 1].join(" ");
    assert_eq!(faults(&many), [(MOST_KEYS + 1, 1, Fault::TooMany)]);
}

#[test]
fn no_secret_is_in_what_can_be_printed_of_keys() {
    let all = keys(&format!("{SECRET} {PRIVATE}"));
    let printed = format!("{all:?} {all:#?} {all}");
    assert!(printed.contains(&public_of(PRIVATE)), "{printed}");
    for secret in ["MfKQ9r8G", "6Xb/dCcH", "[49"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_receiver_believes_what_we_signed_and_nothing_that_was_changed() {
    let signature = keys(&format!("{PRIVATE} {SECRET}")).sign(ID, TIME, BODY).expect("signed");
    let (v1, v1a) = (checker(SECRET), checker(&public_of(PRIVATE)));
    let good = claim(ID, "1614265330", &signature);
    assert_eq!(v1.check(good, BODY, TIME), Ok(Genuine { key: 1, version: Version::V1 }));
    assert_eq!(v1a.check(good, BODY, TIME), Ok(Genuine { key: 1, version: Version::V1a }));
    // In rotation a receiver has the new key and the old one.
    let both = checker(&format!("{} {SECRET}", HmacKey::generate().expect("random").secret_text().as_str()));
    assert_eq!(both.check(good, BODY, TIME), Ok(Genuine { key: 2, version: Version::V1 }));
    for checker in [&v1, &v1a] {
        let mut changed = BODY.to_vec();
        changed[10] ^= 1;
        let refused = |claim, body: &[u8], now| checker.check(claim, body, now).expect_err("refused");
        let mismatch = NotGenuine::Mismatch { hint: "" };
        assert_eq!(refused(good, &changed, TIME), mismatch);
        assert_eq!(refused(claim("msg_other", "1614265330", &signature), BODY, TIME), mismatch);
        assert_eq!(refused(claim(ID, "1614265331", &signature), BODY, TIME), mismatch);
        assert!(
            checker.check(good, BODY, TIME + 300).is_ok() && checker.check(good, BODY, TIME - 300).is_ok()
        );
        assert_eq!(refused(good, BODY, TIME + 301), NotGenuine::TooOld { age: 301, tolerance: 300 });
        assert_eq!(refused(good, BODY, TIME - 301), NotGenuine::TooNew { ahead: 301, tolerance: 300 });
        let ended = [BODY, b"\r\n"].concat();
        let told = refused(good, &ended, TIME).to_string();
        assert!(told.contains("without the line break at the end"), "{told}");
        for (claim, reason) in [
            (Claim { id: None, ..good }, NotGenuine::Missing("webhook-id")),
            (Claim { timestamp: None, ..good }, NotGenuine::Missing("webhook-timestamp")),
            (Claim { signature: None, ..good }, NotGenuine::Missing("webhook-signature")),
            (claim(ID, "+1614265330", &signature), NotGenuine::Timestamp),
            (claim(ID, "1614265330.0", &signature), NotGenuine::Timestamp),
        ] {
            assert_eq!(refused(claim, BODY, TIME), reason);
        }
    }
    let strange = checker(&HmacKey::generate().expect("random").secret_text());
    assert!(matches!(strange.check(good, BODY, TIME), Err(NotGenuine::Mismatch { .. })));
    let alone = claim(ID, "1614265330", SIGNED_V1);
    assert_eq!(v1a.check(alone, BODY, TIME), Err(NotGenuine::NoSuchVersion { wanted: "v1a".into() }));
}

#[test]
fn a_signature_of_one_scheme_never_counts_for_the_other() {
    // The bytes of a true v1 signature under the name of v1a, and the other way round.
    let renamed = |signature: &str| signature.replacen("v1a,", "v1,", 1);
    let told = checker(&format!("{SECRET} {}", public_of(PRIVATE))).check(
        claim(ID, "1614265330", &renamed(SIGNED_V1A)),
        BODY,
        TIME,
    );
    assert_eq!(told, Err(NotGenuine::Mismatch { hint: "" }));
}

proptest! {
    #[test]
    fn no_text_makes_reading_keys_panic(text in r"(whsec_|whsk_|whpk_|-----BEGIN |PRIVATE KEY-----|-----END |\n| |#|[A-Za-z0-9+/=]{0,90}|.){0,12}") {
        let _ = (signing_keys(&text, PASSWORD), checking_keys(&text, None));
    }

    #[test]
    fn no_header_makes_checking_panic(id in ".*", time in "[0-9]{0,25}|.*", signature in "(v1a?,|[A-Za-z0-9+/=]{0,90}|,| |.){0,9}", body: Vec<u8>) {
        let _ = checker(&format!("{SECRET} {PRIVATE}")).check(claim(&id, &time, &signature), &body, TIME);
    }

    #[test]
    fn whatever_is_signed_is_believed(id in "[!-~&&[^.]]{1,40}", time in 0..u64::MAX / 2, body: Vec<u8>) {
        let signature = keys(&format!("{SECRET} {PRIVATE}")).sign(&id, time, &body).expect("signed");
        for key in [SECRET, PRIVATE] {
            let time_text = time.to_string();
            prop_assert!(checker(key).check(claim(&id, &time_text, &signature), &body, time).is_ok());
        }
    }
}
