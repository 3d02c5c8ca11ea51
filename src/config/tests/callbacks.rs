//! Where callbacks may go, and how often they are tried, as it is set.

use super::*;
use crate::egress::Openness;

fn egress(component: &str, environment: &[(&str, &str)]) -> Egress {
    configured(component, environment, "").notifier.unwrap().egress
}

#[test]
fn the_rules_of_callbacks_are_read_and_a_wrong_one_is_named() {
    let rules = egress(
        "notifier",
        &[
            ("CALLBACK_POLICY", "Public"),
            ("CALLBACK_ALLOW", "lms.school, 10.0.0.0/8:8443"),
            ("CALLBACK_DENY", "*.bad.example"),
            ("CALLBACK_HTTPS_ONLY", "yes"),
        ],
    );
    assert_eq!((rules.openness, rules.https_only), (Openness::Public, true));
    assert_eq!((rules.allow.len(), rules.deny.len()), (2, 1));
    let text =
        refused("notifier", &[("CALLBACK_ALLOW", "good, http://bad/"), ("CALLBACK_POLICY", "open")], "");
    assert!(
        text.contains("CALLBACK_ALLOW is \"good, http://bad/\"") && text.contains("\"http://bad/\" is none"),
        "{text}"
    );
    assert!(
        text.contains("CALLBACK_POLICY is \"open\"") && text.contains("private, public or listed"),
        "{text}"
    );
    let listed = configured("notifier", &[("CALLBACK_POLICY", "listed")], "");
    assert!(listed.warnings.iter().any(|warning| warning.contains("no result can be delivered")));
}

#[test]
fn redis_and_a_docker_of_the_network_are_our_own_for_every_component_that_delivers() {
    let names = |egress: Egress| {
        let shown = |own: OwnService| format!("{} {}:{}", own.name, own.host, own.port);
        egress.own.into_iter().map(shown).collect::<Vec<_>>()
    };
    let environment = [("REDIS_URL", "rediss://r.example:7000"), ("DOCKER_HOST", "tcp://10.0.0.5:2400")];
    for component in ["all", "notifier"] {
        let own = names(egress(component, &environment));
        assert_eq!(own, ["Redis r.example:7000", "Docker engine 10.0.0.5:2400"], "{component}");
    }
    let options = [("DOCKER_OPTIONS", r#"{"host": "docker.example", "port": 2500}"#)];
    assert_eq!(names(egress("notifier", &options))[1], "Docker engine docker.example:2500");
    // What it does not need it does not mind either.
    assert_eq!(names(egress("notifier", &[("DOCKER_HOST", "ftp://x")])), ["Redis 127.0.0.1:6379"]);
    assert_eq!(names(egress("notifier", &[("DOCKER_HOST", "unix:///d.sock")])), ["Redis 127.0.0.1:6379"]);
}

#[test]
fn a_schedule_wins_over_attempts_and_back_off_and_says_so() {
    let of = |environment: &[(&str, &str)]| configured("completer", environment, "");
    let scheduled = of(&[("NOTIFY_SCHEDULE", "5s, 30 5m,1h 24h"), ("NOTIFY_ATTEMPTS", "3")]);
    let seconds: Vec<_> =
        scheduled.completer.unwrap().common.deliveries.schedule.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [5, 30, 300, 3600, 86_400]);
    assert_eq!(scheduled.warnings, ["NOTIFY_SCHEDULE is set and wins: NOTIFY_ATTEMPTS is ignored"]);
    let text = refused("completer", &[("NOTIFY_SCHEDULE", "5s,soon")], "");
    assert!(
        text.contains("NOTIFY_SCHEDULE is \"5s,soon\"") && text.contains("up to 100 durations"),
        "{text}"
    );
    assert!(refused("starter", &[("NOTIFY_SCHEDULE", &"1s,".repeat(101))], "").contains("NOTIFY_SCHEDULE"));
}
