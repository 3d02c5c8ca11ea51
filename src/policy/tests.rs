//! Policy files as they are written, and what they decide.

use std::time::Duration;

use super::*;
use crate::profile::{Tmpfs, VerdictChannel};

fn bases() -> Bases {
    let hardened = Profile {
        hardened: true,
        timeout: Some(Duration::from_secs(600)),
        memory: Some(1 << 30),
        network: "none".into(),
        ..Profile::unlimited()
    };
    Bases { hardened, original: Profile::unlimited(), is_original: false }
}

fn read(text: &str) -> Result<Policy, FaultyPolicy> {
    Policy::of_file(text, Path::new("/etc/policy.toml"), bases())
}

fn policy(text: &str) -> Policy {
    read(text).unwrap_or_else(|faulty| panic!("{faulty}"))
}

fn why_not(policy: &Policy, image: &str) -> String {
    policy.profile_of(image).expect_err(image).why
}

#[test]
fn without_a_file_every_image_may_run_and_gets_what_the_settings_say() {
    let policy = Policy::of_settings(bases());
    for image in ["grader", "Not A Name", "ada"] {
        assert_eq!(policy.profile_of(image), Ok(bases().hardened), "{image}");
        assert_eq!(policy.spelled(image), image);
    }
    let original = Bases { is_original: true, ..bases() };
    assert_eq!(Policy::of_settings(original).profile_of("grader"), Ok(Profile::unlimited()));
}

#[test]
fn a_rule_says_all_that_a_container_gets() {
    let policy = policy(
        r#"
        [[rule]]
        name = "all"
        images = ["grader", "r.io/**"]
        timeout = "90s"
        memory = 268435456
        cpus = 0.5
        pids = 64
        nofile = 256
        disk = "1.5g"
        network = "exam-net"
        caps = ["chown", "CAP_SETUID"]
        runtime = "runsc"
        user = "1000:1000"
        read_only = true
        tmpfs = { "/tmp" = "64m", "/run" = 4096 }
        env = { OUT_OF = 100, LANG = "C.UTF-8" }
        verdict = "secret"
        most_running = 4
        "#,
    );
    let expected = Profile {
        rule: RuleName::new("all"),
        hardened: true,
        timeout: Some(Duration::from_secs(90)),
        memory: Some(256 << 20),
        cpus: Some(0.5),
        pids: Some(64),
        nofile: Some(256),
        disk: Some(3 << 29),
        network: "exam-net".into(),
        runtime: Some("runsc".into()),
        user: Some("1000:1000".into()),
        capabilities: vec!["CHOWN".into(), "SETUID".into()],
        read_only_root: true,
        tmpfs: vec![Tmpfs { path: "/tmp".into(), size: 64 << 20 }, Tmpfs { path: "/run".into(), size: 4096 }],
        env: vec!["OUT_OF=100".into(), "LANG=C.UTF-8".into()],
        verdict: VerdictChannel::Secret,
        most_running: Some(4),
    };
    assert_eq!(policy.profile_of("r.io/a/b:1"), Ok(expected));
}

#[test]
fn a_rule_wins_over_the_defaults_and_they_over_the_settings() {
    let policy = policy(
        r#"
        [defaults]
        timeout = "1m"
        env = { A = "defaults", B = "defaults" }
        read_only = true
        [[rule]]
        images = "mine"
        timeout = 0
        env = { A = "rule" }
        [[rule]]
        images = "**/old"
        profile = "original"
        "#,
    );
    let mine = policy.profile_of("mine").unwrap();
    assert_eq!((mine.timeout, mine.memory, mine.rule.as_str()), (None, Some(1 << 30), "mine"));
    assert_eq!(mine.env, ["B=defaults", "A=rule"]);
    assert_eq!(mine.tmpfs, [Tmpfs { path: "/tmp".into(), size: 256 << 20 }], "of the read-only root");
    let old = policy.profile_of("old").unwrap();
    assert_eq!((old.hardened, old.network.as_str(), old.memory), (false, "bridge", None));
    assert_eq!(old.timeout, Some(Duration::from_secs(60)));
}

#[test]
fn the_first_rule_that_is_about_an_image_decides_and_what_none_is_about_may_not_run() {
    let policy = policy(
        r#"
        [[rule]]
        name = "broken"
        images = ["r.io/algebra/quiz:7"]
        allow = false
        [[rule]]
        name = "algebra"
        images = ["r.io/algebra/*"]
        "#,
    );
    assert_eq!(policy.profile_of("r.io/algebra/quiz:8").unwrap().rule.as_str(), "algebra");
    assert_eq!(
        why_not(&policy, "R.IO:443/algebra/quiz:7"),
        "the rule \"broken\" of /etc/policy.toml (line 2) refuses r.io/algebra/quiz:7"
    );
    assert_eq!(
        why_not(&policy, "busybox"),
        "no rule of /etc/policy.toml allows docker.io/library/busybox:latest"
    );
    assert!(
        why_not(&policy, "Busybox").starts_with("no image can be called so (an image's name is lower-case")
    );
    assert!(why_not(&policy, &"0f".repeat(32)).contains("allows the id sha256:0f0f"));
}

#[test]
fn what_was_allowed_by_its_name_is_not_taken_for_the_beginning_of_an_id() {
    let policy = policy("[[rule]]\nimages = 'docker.io/library/*'");
    assert!(policy.profile_of("ada").is_ok());
    assert_eq!(policy.spelled("ada"), "ada:latest");
    assert_eq!(policy.spelled("grader"), "grader");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_fault_is_told_with_its_line_and_column_and_what_is_allowed_there() {
    let rule = "[[rule]]\nimages = \"a\"\n";
    let mut wrong = Vec::new();
    for (text, told) in [
        ("", "line 1, column 1: there is no [[rule]], so that no image might run; to allow every"),
        ("[defaults]\nmemory = '1g'", "line 1, column 1: there is no [[rule]]"),
        ("rule = []", "line 1, column 1: there is no [[rule]]"),
        ("[rule]\nimages = 'a'", "line 1, column 1: rule is a table; allowed: a list of tables: [[rule]]"),
        (
            "[[rules]]\nimages = 'a'",
            "line 1, column 3: there is no \"rules\" here; allowed: [defaults], [[rule]]",
        ),
        ("[[rule]]\nname = 'x'", "line 1, column 1: the rule has no key images"),
        ("[[rule]]\nimages = []", "line 2, column 10: images is a list; allowed: at least one pattern"),
        ("[[rule]]\nimages = ['a', 7]", "line 2, column 16: what stands here is 7; allowed: a pattern"),
        (
            "[[rule]]\nimages = ['a',\n  'A']",
            "line 3, column 3: images is \"A\"; allowed: a name of lower-case",
        ),
        ("[[rule]]\nimages = '*'", "line 2, column 10: images is \"*\"; allowed: \"**\" for every image"),
        (
            &format!("{rule}memroy = '1g'"),
            "line 3, column 1: there is no \"memroy\" here; allowed: name, images, allow, profile, timeout, memory",
        ),
        (
            &format!("{rule}memory = '1'"),
            "line 3, column 10: memory is \"1\"; allowed: 0 (no limit), or a size from 6m",
        ),
        (&format!("{rule}memory = true"), "line 3, column 10: memory is true; allowed: a text in quotes"),
        (&format!("{rule}timeout = '1 week'"), "line 3, column 11: timeout is \"1 week\"; allowed: "),
        (&format!("{rule}timeout = -1"), "line 3, column 11: timeout is -1; allowed: "),
        (
            &format!("{rule}cpus = 'all'"),
            "line 3, column 8: cpus is \"all\"; allowed: 0 (no limit), or a number of processors",
        ),
        (&format!("{rule}pids = 1.5"), "line 3, column 8: pids is 1.5; allowed: a whole number from 0"),
        (&format!("{rule}nofile = 1"), "line 3, column 10: nofile is 1; allowed: 0 (the engine's own limit)"),
        (
            &format!("{rule}disk = '1k'"),
            "line 3, column 8: disk is \"1k\"; allowed: 0 (no limit), or a size from 1m",
        ),
        (
            &format!("{rule}network = 'container:x'"),
            "line 3, column 11: network is \"container:x\"; allowed: none, bridge",
        ),
        (
            &format!("{rule}caps = 'CHOWN'"),
            "line 3, column 8: caps is \"CHOWN\"; allowed: a list of capabilities",
        ),
        (
            &format!("{rule}caps = ['ROOT']"),
            "line 3, column 8: caps is a list; allowed: none, or Linux capabilities such as CHOWN,SETUID; \"ROOT\" is none",
        ),
        (
            &format!("{rule}runtime = '/bin/sh'"),
            "line 3, column 11: runtime is \"/bin/sh\"; allowed: up to 128 letters",
        ),
        (&format!("{rule}user = 1000"), "line 3, column 8: user is 1000; allowed: a text in quotes"),
        (
            &format!("{rule}user = 'a:b:c'"),
            "line 3, column 8: user is \"a:b:c\"; allowed: a user, or user:group",
        ),
        (
            &format!("{rule}read_only = 'yes'"),
            "line 3, column 13: read_only is \"yes\"; allowed: true or false",
        ),
        (&format!("{rule}tmpfs = '/tmp'"), "line 3, column 9: tmpfs is \"/tmp\"; allowed: a table of paths"),
        (
            &format!("{rule}tmpfs = {{ tmp = '1m' }}"),
            "line 3, column 17: tmpfs.tmp is \"1m\"; allowed: as path one from the root",
        ),
        (
            &format!("{rule}tmpfs = {{ '/tmp' = '1x' }}"),
            "line 3, column 20: tmpfs./tmp is \"1x\"; allowed: for /tmp a size",
        ),
        (&format!("{rule}env = ['A=1']"), "line 3, column 7: env is a list; allowed: a table"),
        (&format!("{rule}env = {{ A = [] }}"), "line 3, column 13: env.A is a list; allowed: a text"),
        (
            &format!("{rule}env = {{ 'A=' = 'x' }}"),
            "line 3, column 16: env.A= is \"x\"; allowed: as a variable's name",
        ),
        (
            &format!("{rule}verdict = 'hidden'"),
            "line 3, column 11: verdict is \"hidden\"; allowed: output or secret",
        ),
        (
            &format!("{rule}profile = 'soft'"),
            "line 3, column 11: profile is \"soft\"; allowed: hardened or original",
        ),
        (
            &format!("{rule}most_running = -1"),
            "line 3, column 16: most_running is -1; allowed: a whole number",
        ),
        (&format!("{rule}allow = 'no'"), "line 3, column 9: allow is \"no\"; allowed: true or false"),
        (
            &format!("{rule}name = ''"),
            "line 3, column 8: name is \"\"; allowed: a text of up to 64 characters",
        ),
        (
            &format!("{rule}name = 'x'\n{rule}name = 'x'"),
            "line 6, column 8: the rule of line 1 is called \"x\" too",
        ),
        (&format!("{rule}env = {{ 'ñ' = [] }}"), "line 3, column 15: env.ñ is a list; allowed: a text"),
        (&format!("{rule}memory = '1g\n"), "line 3, column 13: this is no TOML"),
        (&format!("{rule}pids = 1\npids = 2"), "line 4, column 1: this is no TOML"),
    ] {
        let faulty = read(text).expect_err(text);
        let lines: Vec<_> = faulty.lines().collect();
        let found =
            lines.iter().any(|line| line.contains(told) && line.starts_with("/etc/policy.toml, line "));
        if !found || lines.len() != 1 {
            wrong.push(format!(
                "{text}
-> {told}
{lines:#?}
"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.join(
            "
"
        )
    );
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let text = "[defaults]\nname = 'x'\nmemory = 1\n\n[[rule]]\nimages = ['A', 'b']\npids = -1\n[[rule]]\nallow = 1\n";
    let faulty = read(text).expect_err("faults");
    let places: Vec<_> = faulty.faults.iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(places, [(2, 1), (3, 10), (6, 11), (7, 8), (8, 1), (9, 9)], "{faulty}");
}

#[test]
fn what_never_decides_or_gives_too_much_is_warned_of() {
    let policy = policy(
        r#"
        [[rule]]
        name = "all of r"
        images = ["r.io/**"]
        [[rule]]
        name = "late"
        images = ["r.io/algebra/*", "other"]
        network = "host"
        "#,
    );
    let warnings = policy.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings[0].contains("the pattern r.io/algebra/* of the rule \"late\" (line 5) never decides: the rule \"all of r\" (line 2)"),
        "{warnings:#?}"
    );
    assert!(warnings[1].contains("the rule \"late\" (line 5): network is host"), "{warnings:#?}");
}

#[test]
fn no_other_name_of_an_image_leads_round_a_rule() {
    let policy = policy(
        r#"
        [[rule]]
        name = "broken"
        images = "r.io/quiz:7"
        allow = false
        [[rule]]
        name = "strict"
        images = "r.io/exam:1"
        verdict = "secret"
        [[rule]]
        name = "all"
        images = "**"
        "#,
    );
    let id = "0123456789abcdef".repeat(4);
    let rule_of = |image: String| policy.profile_of(&image).map(|profile| profile.rule.to_string()).ok();
    assert_eq!(rule_of("r.io/quiz:8".into()).as_deref(), Some("all"));
    for image in ["r.io/quiz:7".into(), format!("r.io/quiz@sha256:{id}"), format!("r.io/quiz:8@sha256:{id}")]
    {
        assert_eq!(rule_of(image.clone()), None, "{image}");
    }
    for image in [id.clone(), format!("sha256:{id}"), "sha256:01".into()] {
        assert_eq!(rule_of(image.clone()), None, "{image}");
    }
    let warnings = policy.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let told = "images of the pattern r.io/exam:1 of the rule \"strict\" (line 6) are the rule \"all\"'s (line 10, **)";
    assert!(warnings[0].contains(told), "{warnings:#?}");
    assert_eq!(policy.spelled(&id), format!("sha256:{id}"));
}

#[test]
fn a_policy_is_exchanged_for_those_who_ask_later() {
    let handle = PolicyHandle::new(Policy::of_settings(bases()));
    let before = handle.now();
    let other = before.reread("[[rule]]\nimages = 'a'", Path::new("/p")).unwrap();
    handle.clone().exchange(other.clone());
    assert_eq!((before.file(), handle.now().file()), (None, Some(Path::new("/p"))));
    assert_eq!(*handle.now(), other);
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,60}|(\\[\\[rule\\]\\]\n|images = '?[a-z*]{0,3}'?\n|[a-z_]{1,7} = ['\\[{]?[0-9a-z]{0,3}['\\]}]?\n){0,8}") {
        match read(&text) {
            Ok(policy) => { let _ = (policy.decide("grader"), policy.warnings()); }
            Err(faulty) => proptest::prop_assert!(!faulty.faults.is_empty()),
        }
    }
}
