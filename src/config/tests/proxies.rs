//! By which proxies callbacks go, as it is set.

use super::*;
use crate::egress::Proxies;

fn proxies(environment: &[(&str, &str)]) -> (Proxies, Vec<String>) {
    let all = configured("notifier", environment, "");
    (all.notifier.unwrap().egress.proxies, all.warnings)
}

/// The proxies of http and of https callbacks.
fn shown(proxies: &Proxies) -> [String; 2] {
    [false, true].map(|is_https| proxies.of(is_https).map(ToString::to_string).unwrap_or_default())
}

#[test]
fn nothing_but_the_setting_itself_makes_callbacks_go_by_a_proxy() {
    let names =
        ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy"];
    let environment = names.map(|name| (name, "http://u:canary@p:1"));
    assert_eq!(proxies(&environment), (Proxies::default(), Vec::new()));
    let (none, warnings) = proxies(&[("CALLBACK_NO_PROXY", "h")]);
    assert_eq!(none, Proxies::default());
    assert!(warnings[0].contains("CALLBACK_NO_PROXY is set, but CALLBACK_PROXY is not"), "{warnings:?}");
}

#[test]
fn one_proxy_is_that_of_all_callbacks_but_the_excepted_ones() {
    let environment = [
        ("CALLBACK_PROXY", " http://u:canary@Proxy.school:3128 "),
        ("CALLBACK_NO_PROXY", "lms.school, *.inner.school 10.0.0.0/8:443"),
        ("https_proxy", "http://other:1"),
        ("no_proxy", "*"),
    ];
    let (all, warnings) = proxies(&environment);
    assert_eq!(shown(&all), ["http://proxy.school:3128", "http://proxy.school:3128"]);
    let direct: Vec<_> = all.direct.iter().map(ToString::to_string).collect();
    assert_eq!(
        (direct, warnings),
        (vec!["lms.school".into(), "*.inner.school".into(), "10.0.0.0/8:443".into()], vec![])
    );
    assert!(!format!("{all:?}").contains("canary"));
    let by_flag = configured("notifier --callback-proxy=http://p:1", &environment, "").notifier.unwrap();
    assert_eq!(shown(&by_flag.egress.proxies), ["http://p:1", "http://p:1"]);
}

#[test]
fn on_request_the_environments_proxies_are_taken_as_curl_takes_them() {
    let of = |more: &[(&str, &str)]| proxies(&[&[("CALLBACK_PROXY", "Environment")], more].concat());
    let (both, _) = of(&[
        ("http_proxy", "a:1"),
        ("https_proxy", "http://b:2/"),
        ("HTTPS_PROXY", "http://c:3"),
        ("all_proxy", "x"),
    ]);
    assert_eq!(shown(&both), ["http://a:1", "http://b:2"]);
    let (one, _) =
        of(&[("HTTPS_PROXY", "http://c:3"), ("ALL_PROXY", "http://d:4"), ("HTTP_PROXY", "http://evil:5")]);
    assert_eq!(shown(&one), ["http://d:4", "http://c:3"]);
    let (one, warnings) =
        of(&[("https_proxy", ""), ("HTTPS_PROXY", "http://c:3"), ("HTTP_PROXY", "http://evil:5")]);
    assert_eq!(shown(&one), ["", "http://c:3"]);
    assert!(warnings[0].contains("HTTP_PROXY is not read") && warnings.len() == 1, "{warnings:?}");
    let (none, warnings) = of(&[("no_proxy", "h")]);
    assert_eq!(shown(&none), ["", ""]);
    assert!(warnings[0].contains("callbacks go directly"), "{warnings:?}");
    let (excepted, warnings) =
        of(&[("all_proxy", "http://d:4"), ("NO_PROXY", ".school, h:x"), ("CALLBACK_NO_PROXY", "other")]);
    let direct: Vec<_> = excepted.direct.iter().map(ToString::to_string).collect();
    assert_eq!(direct, ["other", "school", "*.school"]);
    assert!(warnings[0].contains("\"h:x\" is no host") && warnings[0].contains("NO_PROXY"), "{warnings:?}");
    for list in ["h, http://u:canary@p:1", "u:canary@p:1", "http://u:x,http://canary@p:1"] {
        let (_, warnings) = of(&[("all_proxy", "http://d:4"), ("no_proxy", list)]);
        assert!(warnings[0].contains("is no host") && warnings[0].contains("no_proxy"), "{warnings:?}");
        assert!(!warnings.concat().contains("canary"), "{warnings:?}");
    }
    let from_file = configured("notifier", &[], "CALLBACK_PROXY=environment\nhttps_proxy=http://f:6\n");
    assert_eq!(shown(&from_file.notifier.unwrap().egress.proxies), ["", "http://f:6"]);
}

#[test]
fn a_wrong_proxy_is_told_by_its_setting_and_its_place_and_never_shown() {
    for (environment, place) in [
        (
            &[("CALLBACK_PROXY", "https://u:canary@p:1")][..],
            "CALLBACK_PROXY (environment variable CALLBACK_PROXY): ",
        ),
        (&[("CALLBACK_PROXY", "u:canary@p:1")], "CALLBACK_PROXY (environment variable CALLBACK_PROXY): "),
        (&[("CALLBACK_PROXY", "canary")], "CALLBACK_PROXY (environment variable CALLBACK_PROXY): "),
        (
            &[("CALLBACK_PROXY", "environment"), ("https_proxy", "socks5://u:canary@p:1")],
            "CALLBACK_PROXY (environment variable https_proxy): it must begin with http://",
        ),
        (
            &[("CALLBACK_PROXY", "environment"), ("ALL_PROXY", "http://u:canary@p")],
            "CALLBACK_PROXY (environment variable ALL_PROXY): there is no port in it",
        ),
    ] {
        let text = refused("notifier", environment, "");
        assert!(text.contains(place) && !text.contains("canary"), "{text}");
    }
    let text = refused("all", &[("CALLBACK_PROXY", "http://p:1"), ("CALLBACK_NO_PROXY", "http://x/")], "");
    assert!(text.contains("CALLBACK_NO_PROXY is \"http://x/\"") && text.contains("*.example.org"), "{text}");
    for setting in ["CALLBACK_NO_PROXY", "CALLBACK_ALLOW", "CALLBACK_DENY"] {
        for list in ["h, http://u:canary@p:1", "u:canary@p:1", "http://u:x,http://canary@p:1"] {
            let text = refused("all", &[("CALLBACK_PROXY", "http://p:1"), (setting, list)], "");
            assert!(text.contains(&format!("{setting} is ")) && !text.contains("canary"), "{text}");
        }
    }
}

#[test]
fn a_variable_of_the_environment_that_is_not_text_is_refused_and_not_taken_for_none() {
    use std::os::unix::ffi::OsStringExt as _;
    for name in ["https_proxy", "HTTPS_PROXY", "http_proxy", "ALL_PROXY", "no_proxy"] {
        let broken = OsString::from_vec(b"http://u:canary\xff@p:1".to_vec());
        let environment = [("CALLBACK_PROXY".into(), "environment".into()), (name.into(), broken)];
        let directory = tempfile::tempdir().unwrap();
        let arguments = ["correction-runner", "notifier"].map(OsString::from);
        let text = read(arguments, environment, directory.path()).unwrap_err().to_string();
        let expected = format!("CALLBACK_PROXY (environment variable {name}): it is not valid UTF-8");
        assert!(text.contains(&expected) && !text.contains("canary"), "{text}");
    }
}
