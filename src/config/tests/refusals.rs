//! What is refused and how it is told, what is never told, and that help and table agree.

use proptest::prelude::*;

use super::*;

#[test]
fn every_wrong_setting_is_told_at_once_with_its_value_and_place() {
    let text = refused(
        "all --concurrent-starters 0",
        &[("REDIS_PORT", "http"), ("CONTAINER_MEMORY", "5m"), ("LOG_LEVEL", "loud")],
        "# comment\nDOCKER_PULL=maybe\nNOTIFY_TIMEOUT='0'\n",
    );
    for line in [
        r#"CONCURRENT_STARTERS is "0" (flag --concurrent-starters); allowed: a whole number from 1 to 10000"#,
        r#"REDIS_PORT is "http" (environment variable REDIS_PORT); allowed: a whole number from 1 to 65535"#,
        r#"CONTAINER_MEMORY is "5m" (environment variable CONTAINER_MEMORY); allowed: 0 (no limit), or a size from 6m"#,
        r#"LOG_LEVEL is "loud" (environment variable LOG_LEVEL); allowed: trace, debug"#,
        r#"DOCKER_PULL is "maybe" (DOCKER_PULL in .env, line 2); allowed: true, yes"#,
        r#"NOTIFY_TIMEOUT is "0" (NOTIFY_TIMEOUT in .env, line 3); allowed: a duration longer than 0"#,
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    assert_eq!(text.lines().count(), 7, "each is told once: {text}");
}

#[test]
fn folders_are_plain_absolute_paths_and_files_are_deleted_only_in_some() {
    let text = refused("completer", &[("REMOVE_EXERCISE", "yes")], "");
    assert!(
        text.contains("REMOVE_EXERCISE (environment variable REMOVE_EXERCISE): files are deleted only in"),
        "{text}"
    );
    for folders in ["uploads", "/", "/srv:/a/..", "/srv,x"] {
        let text = refused("starter", &[("EXERCISE_FOLDERS", folders)], "");
        assert!(text.contains("EXERCISE_FOLDERS") && text.contains("absolute paths"), "{text}");
    }
    let environment = [("EXERCISE_FOLDERS", "/srv/a/:/srv//b, /c/./d"), ("REMOVE_EXERCISE", "yes")];
    let read = configured("all", &environment, "");
    let folders = ["/srv/a", "/srv/b", "/c/d"].map(std::path::PathBuf::from);
    assert_eq!(read.starter.expect("a starter").exercise_folders, folders);
    assert_eq!(read.completer.expect("a completer").remove_exercises_in, folders);
    let read = configured("completer", &environment[..1], "");
    assert!(read.completer.expect("a completer").remove_exercises_in.is_empty());
}

#[test]
fn a_component_does_not_mind_what_is_wrong_with_the_settings_of_others() {
    let environment = [("DOCKER_OPTIONS", "{"), ("CONCURRENT_STARTERS", "x"), ("UNKNOWN", "x")];
    assert!(configured("notifier", &environment, "").starter.is_none());
}

#[test]
fn a_directory_in_the_place_of_the_file_is_an_error_and_no_file_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let read_here = || read(["correction-runner", "all"].map(OsString::from), [], directory.path());
    assert!(read_here().is_ok());
    std::fs::create_dir(directory.path().join(".env")).unwrap();
    assert!(read_here().unwrap_err().to_string().contains(".env: cannot be read"));
    std::fs::remove_dir(directory.path().join(".env")).unwrap();
    std::fs::write(directory.path().join(".env"), b"A=\xff").unwrap();
    assert!(read_here().unwrap_err().to_string().contains(".env: it is not valid UTF-8"));
}

#[test]
fn a_value_that_is_no_text_is_an_error_that_names_it() {
    use std::os::unix::ffi::OsStringExt;
    let environment = [("REDIS_HOST".into(), OsString::from_vec(vec![0xff]))];
    let refusal =
        read(["correction-runner", "all"].map(OsString::from), environment, Path::new("/nonexistent"));
    let text = refusal.unwrap_err().to_string();
    assert!(text.contains("REDIS_HOST") && text.contains("not valid UTF-8"), "{text}");
}

#[test]
fn no_secret_is_in_the_settings_nor_in_an_error_nor_in_the_help() {
    let logins = r#"{"r": {"username": "u", "password": "canary"}}"#;
    for redis in [("REDIS_PASSWORD", "canary"), ("REDIS_URL", "redis://u:canary@h")] {
        let environment = [redis, ("DOCKER_REGISTRY_CREDENTIALS", logins), ("DOCKER_PULL", "yes")];
        let all = configured("all", &environment, "");
        assert_eq!(all.notifier.as_ref().unwrap().common.redis.password, Some(Secret::new("canary")));
        assert!(!format!("{all:?} {all:#?}").contains("canary"));
    }
    for (name, value) in [
        ("REDIS_URL", "redis://u:canary@h:x"),
        ("REDIS_URL", "canary"),
        ("DOCKER_REGISTRY_CREDENTIALS", r#"{"r": {"password": "canary"}}"#),
        ("DOCKER_REGISTRY_CREDENTIALS", r#"{"r": canary}"#),
        ("DOCKER_OPTIONS", r#"{"host": "h", "password": "canary", "port": "canary"}"#),
        ("DOCKER_OPTIONS", r#"{"password": "canary""#),
        ("DOCKER_HOST", "ftp://u:canary@h"),
        ("NOTIFY_SIGNING_KEYS", "whsec_canary"),
        ("LOG_LEVEL", "tcp://u:canary@h"),
    ] {
        let text = refused("all", &[(name, value)], "");
        assert!(text.contains(name), "{text}");
        assert!(!text.contains("canary"), "{text}");
        let refusal = request("all", &[], &format!("{name}='{value}'")).unwrap_err();
        assert!(!format!("{refusal:?} {refusal}").contains("canary"), "{refusal:?}");
    }
    for arguments in
        ["all --redis-password a canary", "all --redis-passwrd=canary", "all --redis-passwrd canary"]
    {
        let text = refused(arguments, &[], "");
        assert!(!text.contains("canary"), "{text}");
    }
    let environment = [("REDIS_PASSWORD", "canary"), ("REDIS_HOST", "canary")];
    for arguments in ["--help", "all --help", "all -h", "notifier --help"] {
        let Ok(Request::Show(text)) = request(arguments, &environment, "REDIS_URL=canary") else {
            panic!("no help for {arguments}");
        };
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn the_command_line_is_well_formed() {
    command_line::command().debug_assert();
}

#[test]
fn each_setting_is_in_the_help_of_those_who_use_it_and_of_no_other() {
    for component in Component::EACH {
        let Ok(Request::Show(text)) = request(&format!("{} --help", component.name()), &[], "") else {
            panic!("no help for {component:?}");
        };
        for setting in settings() {
            let flag = format!("--{} ", setting.flag());
            assert_eq!(text.contains(&flag), setting.is_of(component), "{flag} of {component:?}:\n{text}");
            assert_eq!(text.contains(&format!("[{}", setting.name)), setting.is_of(component), "{flag}");
        }
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(110), "{widest:?}");
    }
}

/// A value of each setting that is not its default, so that each is seen to be read.
fn another(setting: &Setting) -> String {
    match (setting.name, setting.value) {
        ("DOCKER_OPTIONS", _) => r#"{"host": "h", "port": 1}"#.into(),
        ("DOCKER_HOST", _) => "tcp://other:1".into(),
        ("REDIS_URL", _) => "redis://other".into(),
        ("CONTAINER_PROFILE", _) => "original".into(),
        ("CONTAINER_CAPS", _) => "CHOWN".into(),
        ("CONTAINER_TMPFS", _) => "/tmp:1m".into(),
        ("LOG_LEVEL", _) => "debug".into(),
        ("LOG_FORMAT", _) => "pretty".into(),
        ("DOCKER_REGISTRY_CREDENTIALS", _) => r#"{"r": {"username": "u", "password": "p"}}"#.into(),
        (_, "YES|NO") => "yes".into(),
        (_, "DURATION" | "DURATIONS") => "7s".into(),
        (_, "POLICY") => "public".into(),
        (_, "SIZE") => "7m".into(),
        (_, "NUMBER" | "PORT") => "7".into(),
        (_, "PATH") => "/dev/null".into(),
        _ => "other".into(),
    }
}

#[test]
fn each_setting_of_the_table_is_read_and_each_default_is_allowed() {
    for component in Component::EACH {
        let nothing = configured(component.name(), &[], "");
        for setting in settings().filter(|setting| setting.is_of(component)) {
            let (name, value) = (setting.name, another(setting));
            let set = match request(component.name(), &[(name, &value)], "") {
                Ok(Request::Run(set)) => Some(*set),
                // A file that holds no JSON, and a word that is no number, are read and refused.
                Err(refusal) => {
                    assert!(refusal.to_string().contains(name), "{name}: {refusal}");
                    None
                }
                Ok(other) => panic!("{other:?}"),
            };
            // These two count only beside DOCKER_HOST, which has a test of its own.
            if !matches!(name, "DOCKER_TLS_VERIFY" | "DOCKER_CERT_PATH") {
                assert_ne!(set.as_ref(), Some(&nothing), "{name} changes nothing of {component:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_value_of_any_setting_is_too_strange(
        setting in proptest::sample::select(settings().collect::<Vec<_>>()), value in "[^\0]{0,12}",
    ) {
        let _ = request("all", &[(setting.name, &value)], "");
        let _ = request(&format!("all --{}={value}", setting.flag()), &[], "");
    }
}

#[test]
fn signing_keys_of_variable_and_file_are_merged_and_a_faulty_one_is_named_by_its_place() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let seed = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let both = [("NOTIFY_SIGNING_KEYS", SECRET), ("NOTIFY_SIGNING_KEYS_FILE", path)];
    std::fs::write(path, format!("# until June\n{seed} {SECRET}\n")).unwrap();
    let signing = configured("notifier", &both, "").notifier.unwrap().signing;
    assert_eq!(signing.len(), 2, "each once");
    assert!(configured("starter", &[("NOTIFY_SIGNING_KEYS", "canary")], "").notifier.is_none());
    std::fs::write(path, format!("{seed}\n\ncanary whpk_canary\n")).unwrap();
    let told = refused("notifier", &[("NOTIFY_SIGNING_KEYS", "whsec_canary"), both[1]], "");
    for part in [
        "NOTIFY_SIGNING_KEYS (environment variable NOTIFY_SIGNING_KEYS): key 1 (line 1): what follows its prefix is not",
        "NOTIFY_SIGNING_KEYS_FILE (environment variable NOTIFY_SIGNING_KEYS_FILE): key 2 (line 3): it begins with",
        "key 3 (line 3): what follows its prefix is not base 64",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("canary"), "{told}");
    std::fs::write(path, "# nothing\n").unwrap();
    assert!(refused("notifier", &both, "").contains("there is no key in it"));
    let missing = refused("notifier", &[("NOTIFY_SIGNING_KEYS_FILE", "/nowhere/keys")], "");
    assert!(missing.contains("cannot read /nowhere/keys"), "{missing}");
    let warned = configured("notifier", &[("PRIVATE_KEY_PASSWORD", "canary")], "").warnings.join("");
    assert!(warned.contains("PRIVATE_KEY_PASSWORD is set") && !warned.contains("canary"), "{warned}");
}
