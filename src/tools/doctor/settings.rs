//! Settings: what is wrong with them, what looks like a mistake, and what contradicts something else.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, access};

use super::finding::Findings;
use crate::config::{
    CompleterSettings, Diagnosed, Endpoint, LogDestination, NotifierSettings, StarterSettings,
};
use crate::egress::{Openness, Reach, reach};
use crate::startup;

/// Longer than this a result is not remembered as made.
const REMEMBERED_FOR: Duration = crate::queue::DONE_FOR;

pub(super) fn check(diagnosed: &Diagnosed, into: &mut Findings) {
    for problem in &diagnosed.problems {
        into.fail("value", problem.to_string(), "mend it: no component starts with it (exit code 64)");
    }
    for warning in &diagnosed.configuration.warnings {
        into.start_up_warning("suspicious", warning);
    }
    if diagnosed.may_use_all() {
        let configuration = &diagnosed.configuration;
        if let Some(starter) = &configuration.starter {
            of_starter(starter, into);
        }
        if let Some(completer) = &configuration.completer {
            of_completer(completer, into);
        }
        if let Some(notifier) = &configuration.notifier {
            of_notifier(notifier, into);
        }
        if !configuration.hardened {
            into.note(
                "profile",
                "containers run as the original ran them (CONTAINER_PROFILE=original): with a network, and without limits \
                 that are not set one by one",
                "take CONTAINER_PROFILE away once all graders work without it",
            );
        }
    }
    if let LogDestination::File(path) = &diagnosed.configuration.log.destination {
        log_file(path, into);
    }
    match startup::raise_file_limit().and_then(startup::too_few_files) {
        Some(warning) => into.start_up_warning("open_files", warning),
        None => into.ok("open_files", "enough files may be open at a time"),
    }
    if into.all.iter().all(|finding| finding.check == "open_files") {
        into.ok("value", "nothing is wrong with the settings, and nothing contradicts");
    }
}

fn of_starter(settings: &StarterSettings, into: &mut Findings) {
    let timeouts: Vec<_> = settings.policy.profiles().map(|profile| profile.timeout).collect();
    if timeouts.contains(&None) {
        into.note(
            "timeout",
            "some graders have no time limit: one that never ends keeps its place for ever",
            "set CONTAINER_TIMEOUT, or 'timeout' in POLICY_FILE",
        );
    }
    if let Some(timeout) = timeouts.into_iter().flatten().max().filter(|timeout| *timeout > REMEMBERED_FOR) {
        into.warn(
            "timeout",
            format!(
                "a grader may run for {} days, and a result is remembered as made for {}",
                days(timeout),
                days(REMEMBERED_FOR)
            ),
            "set a shorter CONTAINER_TIMEOUT",
        );
    }
    if let Some(rate) = settings.rate.filter(|rate| rate.duration > settings.retry_for) {
        into.warn(
            "start_rate",
            format!(
                "START_RATE_DURATION ({} s) is longer than START_RETRY_FOR ({} s): what is tried again may have no second try",
                rate.duration.as_secs(),
                settings.retry_for.as_secs()
            ),
            "set a shorter START_RATE_DURATION with a smaller START_RATE_MAX: the rate stays the same",
        );
    }
    if settings.exercise_folders.is_empty() {
        into.note(
            "exercise_folders",
            "EXERCISE_FOLDERS is not set: whoever can add jobs can have nearly any file of the Docker host shown to a grader",
            "set EXERCISE_FOLDERS to the folders where the API server stores submissions",
        );
    } else if matches!(settings.docker.endpoint, Endpoint::Unix(_)) {
        for folder in settings.exercise_folders.iter().filter(|folder| !folder.is_dir()) {
            into.warn(
                "exercise_folders",
                format!("{} of EXERCISE_FOLDERS is no folder that can be seen from here", folder.display()),
                "create it, or mend EXERCISE_FOLDERS; in a container mount it at the same path",
            );
        }
    }
    if settings.min_free_memory.is_none() && settings.max_running == Some(0) {
        into.warn(
            "max_running",
            "MAX_RUNNING is 0 and MIN_FREE_MEMORY is 0: nothing keeps a burst of submissions from using up all memory",
            "leave one of them at its default",
        );
    }
}

/// Whether the log can be written; makes no file.
fn log_file(path: &Path, into: &mut Findings) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let can = if path.exists() {
        access(path, Access::WRITE_OK).is_ok() && !path.is_dir()
    } else {
        may_write_in(folder)
    };
    if !can {
        into.fail(
            "log_file",
            format!("this user cannot write to {} (LOG_FILE)", path.display()),
            "give the user that runs the component the right to write there, or take LOG_FILE away",
        );
    }
}

fn days(span: Duration) -> u64 {
    span.as_secs() / (24 * 3600)
}

fn of_completer(settings: &CompleterSettings, into: &mut Findings) {
    for folder in &settings.remove_exercises_in {
        let (found, remedy) = if !folder.is_dir() {
            (
                format!("{} is no folder that can be seen from here", folder.display()),
                "mount it at the same path",
            )
        } else if !may_write_in(folder) {
            let found = format!("this user may not delete files in {}", folder.display());
            (found, "give the user that runs the completer the right to write there")
        } else {
            continue;
        };
        into.warn(
            "remove_exercise",
            format!("REMOVE_EXERCISE is set, and {found}: nothing is deleted there"),
            remedy,
        );
    }
}

fn may_write_in(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn of_notifier(settings: &NotifierSettings, into: &mut Findings) {
    let egress = &settings.egress;
    for rule in &egress.allow {
        let text = rule.to_string();
        if egress.deny.iter().any(|denied| denied.to_string() == text) {
            into.warn(
                "callback_rules",
                format!("{text} stands in CALLBACK_ALLOW and in CALLBACK_DENY, which wins"),
                "take it out of one of them",
            );
        }
        if let Some(kind) = rule.address().map(reach).and_then(|reach| match reach {
            Reach::Never(kind) => Some(kind),
            _ => None,
        }) {
            into.warn(
                "callback_rules",
                format!("CALLBACK_ALLOW names {text}, which is {kind}: no callback goes there all the same"),
                "take it out, and have the receiver listen elsewhere",
            );
        }
    }
    if egress.openness == Openness::Private && !egress.allow.is_empty() {
        into.note(
            "callback_rules",
            "CALLBACK_ALLOW allows hardly more than CALLBACK_POLICY=private does already: only where a receiver on the internet \
             redirects to",
            "set CALLBACK_POLICY to public or listed, if callbacks are to go nowhere else",
        );
    }
    if settings.signing.is_empty() {
        into.note(
            "signing",
            "callbacks are not signed: a receiver cannot tell a grade from a forged one, https or not",
            "correction-runner keygen, and NOTIFY_SIGNING_KEYS_FILE (docs/verifying-callbacks.md)",
        );
    }
    if let Some(rate) = settings.rate {
        let per_second = f64::from(rate.max) / rate.duration.as_secs_f64().max(0.001);
        let slots = u32::try_from(settings.concurrency).unwrap_or(u32::MAX);
        if per_second * settings.timeout.as_secs_f64() < f64::from(slots) / 2.0 {
            into.note(
                "notify_rate",
                format!("NOTIFY_RATE_MAX lets {per_second:.1} deliveries begin each second: CONCURRENT_NOTIFIERS ({slots}) is never used up"),
                "raise NOTIFY_RATE_MAX, if results arrive late",
            );
        }
    }
}
