//! What Dockerode understands, what it does not, and what a stranger may write.

use proptest::prelude::*;
use serde_json::json;

use super::super::settings::Secret;
use super::super::ssh::{SshEndpoint, SshKey};
use super::*;

fn read(text: &str) -> Endpoint {
    let options = parse(text).unwrap();
    assert_eq!(options.warnings, Vec::<String>::new(), "{text}");
    options.endpoint
}

fn warned(text: &str) -> (Endpoint, String) {
    let options = parse(text).unwrap();
    (options.endpoint, options.warnings.join("; "))
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().join("; ")
}

fn tcp(host: &str, port: u16) -> Endpoint {
    Endpoint::Tcp { host: host.into(), port }
}

#[test]
fn a_socket_is_read_and_nothing_at_all_means_the_usual_one() {
    assert_eq!(read(r#"{"socketPath": "/run/d.sock"}"#), Endpoint::Unix("/run/d.sock".into()));
    assert_eq!(read(r#"{"socketPath": "unix:///run/d.sock"}"#), Endpoint::Unix("/run/d.sock".into()));
    for text in ["{}", r#"{"socketPath": ""}"#, r#"{"socketPath": null, "host": ""}"#] {
        assert_eq!(read(text), Endpoint::Unix(SOCKET.into()), "{text}");
    }
}

#[test]
fn the_readmes_example_with_certificates_is_read() {
    let text = r#"{"host": "my.server", "protocol": "https", "port": 2376,
                   "ca": "/c/ca.pem", "cert": "/c/cert.pem", "key": "/c/key.pem"}"#;
    let endpoint = Endpoint::Tls {
        host: "my.server".into(),
        port: 2376,
        ca: Some("/c/ca.pem".into()),
        identity: Some(("/c/cert.pem".into(), "/c/key.pem".into())),
    };
    assert_eq!(read(text), endpoint);
    assert_eq!(read(&text.replace(r#""protocol": "https","#, "")), endpoint);
}

fn ssh(text: &str) -> SshEndpoint {
    match read(text) {
        Endpoint::Ssh(ssh) => *ssh,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_ssh_logs_in_with_is_found_nested_and_under_its_literal_name_as_a_path_and_as_a_text() {
    let text = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (written, key) in [("/k", SshKey::File("/k".into())), (text, SshKey::Text(Secret::new(text)))] {
        let nested = json!({"sshOptions": {"privateKey": written, "passphrase": "p", "agent": "/a"}});
        let literal =
            json!({"sshOptions.privateKey": written, "sshOptions.passphrase": "p", "sshOptions.agent": "/a"});
        for mut options in [nested, literal] {
            options["protocol"] = "ssh".into();
            options["host"] = "h".into();
            options["username"] = "me".into();
            let expected = SshEndpoint {
                host: "h".into(),
                port: None,
                username: Some("me".into()),
                socket: SOCKET.into(),
                key: Some(key.clone()),
                passphrase: Some(Secret::new("p")),
                agent: Some("/a".into()),
                config: None,
            };
            assert_eq!(ssh(&options.to_string()), expected, "{options}");
        }
    }
    let both = r#"{"protocol": "ssh", "host": "h", "sshOptions": {"privateKey": "/a"}, "sshOptions.privateKey": "/b"}"#;
    assert_eq!(ssh(both).key, Some(SshKey::File("/a".into())));
}

#[test]
fn the_far_host_of_ssh_may_be_a_url_with_its_socket() {
    let far = ssh(r#"{"host": "ssh://me@h:23/run/d.sock"}"#);
    assert_eq!((far.host.as_str(), far.port, far.username.as_deref()), ("h", Some(23), Some("me")));
    assert_eq!(far.socket, PathBuf::from("/run/d.sock"));
    let far = ssh(r#"{"host": "ssh://me@h", "socketPath": "/far.sock", "username": "you", "port": 9}"#);
    assert_eq!((far.port, far.username.as_deref()), (Some(9), Some("you")));
    assert_eq!(far.socket, PathBuf::from("/far.sock"));
}

#[test]
fn what_ssh_cannot_use_is_told_and_no_secret_is_shown() {
    let far = |rest: &str| format!(r#"{{"protocol": "ssh", "host": "h", {rest}}}"#);
    for (rest, told) in [
        (r#""username": "-oProxyCommand=canary""#, "username"),
        (r#""socketPath": "d.sock""#, "absolute path"),
        (r#""sshOptions": {"privateKey": "-----BEGIN PUBLIC KEY-----\ncanary"}"#, "not a private key"),
        (
            r#""sshOptions.privateKey": "-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanary\n-----END ENCRYPTED PRIVATE KEY-----""#,
            "sshOptions.passphrase",
        ),
        (r#""sshOptions": ["canary"]"#, "must be an object"),
        (r#""sshOptions": {"passphrase": 7}"#, "passphrase"),
    ] {
        let text = refused(&far(rest));
        assert!(text.contains(told) && !text.contains("canary"), "{rest}: {text}");
    }
    assert!(refused(r#"{"protocol": "ssh"}"#).contains("needs a \"host\""));
    assert!(refused(r#"{"protocol": "ssh", "host": "-oProxyCommand=x"}"#).contains("dash"));
    assert!(refused(r#"{"host": "ssh://me:canary@h"}"#).contains("\"host\" must be"));
    let (_, warning) = warned(&far(
        r#""password": "canary", "ca": "/c", "sshOptions": {"agentForward": true, "passphrase": "canary"}"#,
    ));
    for part in ["password", "agentForward", "ca", "sshOptions.passphrase"] {
        assert!(warning.contains(part) && !warning.contains("canary"), "{part}: {warning}");
    }
}

#[test]
fn the_host_may_be_a_url_and_fields_win_over_its_parts() {
    assert_eq!(read(r#"{"host": "http://127.0.0.1", "port": "2375"}"#), tcp("127.0.0.1", 2375));
    assert_eq!(read(r#"{"host": "tcp://h:1", "port": 2}"#), tcp("h", 2));
    assert_eq!(read(r#"{"host": "tcp://[::1]:1"}"#), tcp("::1", 1));
    assert_eq!(read(r#"{"host": "[::1]", "port": 1}"#), tcp("::1", 1));
    let tls = Endpoint::Tls { host: "h".into(), port: 1, ca: None, identity: None };
    assert_eq!(read(r#"{"host": "https://h:1"}"#), tls);
    assert_eq!(read(r#"{"host": "https://h:1", "protocol": "http"}"#), tcp("h", 1));
}

#[test]
fn what_looks_like_a_mistake_is_read_with_a_warning() {
    let (endpoint, warning) = warned(r#"{"socketPath": "/s", "host": "h", "port": 1}"#);
    assert_eq!(endpoint, tcp("h", 1));
    assert!(warning.contains(r#""socketPath" is ignored"#), "{warning}");
    let (endpoint, warning) = warned(r#"{"host": "h"}"#);
    assert_eq!(endpoint, tcp("h", 80));
    assert!(warning.contains("Docker's own is 2375"), "{warning}");
    let (_, warning) = warned(r#"{"timeout": 3, "sshOptions": {"agentForward": true}, "port": 3}"#);
    for part in [r#""timeout""#, r#""agentForward""#, r#"without "host""#] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    let (_, warning) = warned(r#"{"host": "h", "port": 1, "ca": "/ca"}"#);
    assert!(warning.contains("https"), "{warning}");
}

#[test]
fn every_wrong_field_is_named_at_once_and_no_value_is_shown() {
    let text = refused(
        r#"{"host": 1, "port": "canary", "protocol": "canary", "ca": ["canary"], "key": "-----BEGIN canary",
            "sshOptions": {"privateKey": true}, "socketPath": {}}"#,
    );
    for field in ["host", "port", "protocol", "ca", "key", "sshOptions", "privateKey", "socketPath"] {
        assert!(text.contains(&format!("{field:?}")), "{field}: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
    for port in ["0", "65536", "-1", "1.5", "true", "\"x\""] {
        let text = refused(&format!(r#"{{"host": "h", "port": {port}}}"#));
        assert!(text.contains(r#""port" must be"#), "{text}");
    }
    for host in ["h:2375", "h/x", "a b", "unix:///s", "ftp://h", "http://", "://"] {
        let text = refused(&format!(r#"{{"host": "{host}"}}"#));
        assert!(text.contains(r#""host" must be"#), "{host}: {text}");
    }
    assert!(refused(r#"{"host": "h", "port": 1, "protocol": "https", "cert": "/c"}"#).contains("both"));
}

#[test]
fn text_that_is_no_json_object_is_refused_with_the_place_and_without_the_text() {
    let text = refused("{\"host\": \"canary\",\n}");
    assert!(text.contains("line 2 column 1"), "{text}");
    assert!(!text.contains("canary"), "{text}");
    for text in ["[]", "1", "null", "\"canary\""] {
        assert!(refused(text).contains("a JSON object is needed"), "{text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "(unix|tcp|http|https|ssh|é)?(://)?[a-z:@\\[\\]./]{0,8}(:[0-9]{0,6})?".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        let name = prop_oneof![proptest::sample::select(KNOWN).prop_map(String::from), ".{0,4}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::hash_map(name, inner, 0..9)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_is_too_strange(value in any_json()) {
        let _ = parse(&value.to_string());
    }

    #[test]
    fn no_text_is_too_strange(text: String) {
        let _ = parse(&text);
    }

    #[test]
    fn each_refusal_says_why(value in any_json()) {
        if let Err(problems) = parse(&value.to_string()) {
            prop_assert!(!problems.is_empty());
        }
    }
}
