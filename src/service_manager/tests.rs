//! What is told when, and to which address.

use super::*;
use crate::heartbeat::State;

const BOTH: [&str; 2] = ["starter", "notifier"];

fn beat(state: State, seconds: u64) -> Beat {
    Beat { name: "starter".to_owned(), state, doing: "take", since: Duration::from_secs(seconds) }
}

fn standings(all: &[(&str, Standing)]) -> Standings {
    all.iter().map(|(name, standing)| ((*name).to_owned(), standing.clone())).collect()
}

/// What is told of the situation, and noted as told.
fn tell(told: &mut Told, standings: &Standings, beats: &[Beat], is_stopping: bool, due: bool) -> String {
    let situation =
        Situation { standings, beats, in_hand: 7, components: &BOTH, is_stopping, alive_is_due: due };
    let Some(message) = told.message(&situation) else { return String::new() };
    let text = message.text();
    told.went_through(message, Instant::now());
    text
}

#[test]
fn it_is_ready_once_when_all_components_take_work_and_the_status_says_what_they_wait_for() {
    let mut told = Told::default();
    let waiting = Standing::Waiting("waiting for Redis: Connection refused\n(os error 111)".to_owned());
    let starting = standings(&[("starter", waiting.clone())]);
    assert_eq!(
        tell(&mut told, &starting, &[], false, false),
        "STATUS=starter: waiting for Redis: Connection refused (os error 111); notifier: starting\n"
    );
    assert_eq!(tell(&mut told, &starting, &[], false, false), "", "nothing is told twice");
    let half = standings(&[("starter", waiting), ("notifier", Standing::Taking)]);
    assert!(!tell(&mut told, &half, &[], false, false).contains("READY"));
    let all = standings(&[("starter", Standing::Taking), ("notifier", Standing::Taking)]);
    assert_eq!(tell(&mut told, &all, &[], false, false), "READY=1\nSTATUS=takes work; jobs in hand: 7\n");
    assert_eq!(tell(&mut told, &all, &[], false, false), "");
    assert_eq!(
        tell(&mut told, &all, &[], true, false),
        "STOPPING=1\nSTATUS=stopping: hands back what is in hand\n"
    );
    assert_eq!(tell(&mut told, &all, &[], true, false), "");
}

#[test]
fn a_component_that_stops_before_it_was_ready_never_says_that_it_is() {
    let mut told = Told::default();
    let all = standings(&[("starter", Standing::Taking), ("notifier", Standing::Taking)]);
    assert!(!tell(&mut told, &all, &[], true, false).contains("READY"));
}

#[test]
fn it_is_alive_only_while_all_loops_are_well_and_a_stuck_one_is_named() {
    let mut told = Told::default();
    let all = standings(&[("starter", Standing::Taking), ("notifier", Standing::Taking)]);
    assert!(tell(&mut told, &all, &[beat(State::Idle, 900)], false, true).contains("WATCHDOG=1\n"));
    assert_eq!(tell(&mut told, &all, &[beat(State::Working, 1)], false, true), "WATCHDOG=1\n");
    for state in [State::Stuck, State::Ended, State::Panicked] {
        let text = tell(&mut told, &all, &[beat(State::Idle, 1), beat(state, 29)], false, true);
        assert!(!text.contains("WATCHDOG"), "{state:?}: {text}");
    }
    assert_eq!(told.status, "the loop `starter` is stuck for more than 20 s: take");
}

#[test]
fn the_manager_is_found_as_systemd_names_it() {
    let found = |variables: &[(&str, &str)]| {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        ServiceManager::of_environment(|name| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    };
    assert!(found(&[]).expect("none").is_none());
    assert!(found(&[("NOTIFY_SOCKET", "")]).expect("none").is_none());
    assert_eq!(
        found(&[("NOTIFY_SOCKET", "vsock:2:1")]).expect_err("vsock").kind(),
        io::ErrorKind::Unsupported
    );
    let path = found(&[("NOTIFY_SOCKET", "/run/systemd/notify")]).expect("a path").expect("a manager");
    assert_eq!(path.address.as_pathname(), Some(std::path::Path::new("/run/systemd/notify")));
    let name = found(&[("NOTIFY_SOCKET", "@a/b")]).expect("a name").expect("a manager");
    assert_eq!(name.address.as_abstract_name(), Some(&b"a/b"[..]));
    let me = std::process::id().to_string();
    for (pid, time, expected) in [
        (None, "60000000", Some(Duration::from_secs(60))),
        (Some(me.as_str()), "60000000", Some(Duration::from_secs(60))),
        (Some("1"), "60000000", None),
        (None, "0", None),
        (None, "soon", None),
    ] {
        let mut variables = vec![("NOTIFY_SOCKET", "/n"), ("WATCHDOG_USEC", time)];
        variables.extend(pid.map(|pid| ("WATCHDOG_PID", pid)));
        assert_eq!(
            found(&variables).expect("a path").expect("a manager").watchdog,
            expected,
            "{pid:?} {time}"
        );
    }
}
