//! What each component is given, put together from everything that was set.

use std::path::PathBuf;
use std::time::Duration;

use super::connections::{docker, readable, redis};
use super::formats::{self, Unit};
use super::inputs::Inputs;
use super::problem::Problem;
use super::sandbox;
use super::settings::{
    CommonSettings, CompleterSettings, DeliveryRetries, DockerSettings, ImageRetention, LogDestination,
    LogFormat, LogLevel, LogSettings, NotifierSettings, RateLimit, Retention, StarterSettings,
};
use super::signing;
use crate::exercise;

/// More than any machine has.
const MOST_MEMORY: u64 = 1 << 44;
/// More than any file system has.
const MOST_DISK: u64 = 1 << 60;

pub(super) fn common(inputs: &mut Inputs) -> CommonSettings {
    let kept = |text: &str| formats::whole(text, 0, 10_000_000);
    CommonSettings {
        redis: redis(inputs),
        instance: inputs.read_optional("INSTANCE_ID", formats::instance),
        retention: Retention {
            completed: inputs.read("KEEP_COMPLETED", kept),
            failed: inputs.read("KEEP_FAILED", kept),
        },
        deliveries: DeliveryRetries {
            attempts: inputs.read("NOTIFY_ATTEMPTS", |text| formats::whole(text, 1, 1000)),
            backoff: inputs.read("NOTIFY_BACKOFF", |text| formats::duration(text, Unit::Milliseconds)),
            schedule: schedule(inputs),
        },
        connect_wait: inputs
            .read_optional("CONNECT_WAIT", |text| formats::some_duration(text, Unit::Seconds)),
    }
}

/// The waits between deliveries; not more of them than there can be attempts.
fn schedule(inputs: &mut Inputs) -> Vec<Duration> {
    const MOST: usize = 100;
    let schedule = inputs.read("NOTIFY_SCHEDULE", |text| {
        let waits: Result<Vec<_>, _> =
            words(text).map(|word| formats::duration(word, Unit::Seconds)).collect();
        waits.ok().filter(|waits| waits.len() <= MOST).ok_or_else(|| {
            format!(
                "up to {MOST} durations between commas, such as 5s,30s,5m,1h (a bare number is in seconds)"
            )
        })
    });
    if !schedule.is_empty() {
        for ignored in ["NOTIFY_ATTEMPTS", "NOTIFY_BACKOFF"] {
            if inputs.is_set(ignored) {
                inputs.warn(format!("NOTIFY_SCHEDULE is set and wins: {ignored} is ignored"));
            }
        }
    }
    schedule
}

/// What stands between commas or white space.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty())
}

pub(super) fn starter(inputs: &mut Inputs) -> StarterSettings {
    let settings = StarterSettings {
        common: common(inputs),
        docker: docker(inputs),
        policy: sandbox::policy(inputs),
        dont_start: inputs.read("DONT_START_CONTAINER", formats::boolean),
        concurrency: concurrency(inputs, "CONCURRENT_STARTERS"),
        max_running: inputs.read_optional("MAX_RUNNING", |text| formats::whole(text, 0, 1_000_000)),
        min_free_disk: inputs.read("MIN_FREE_DISK", |text| formats::size_or_none(text, 1, MOST_DISK)),
        min_free_memory: inputs.read("MIN_FREE_MEMORY", |text| formats::size_or_none(text, 1, MOST_MEMORY)),
        rate: rate(inputs, "START_RATE_MAX", "START_RATE_DURATION"),
        retry_for: inputs.read("START_RETRY_FOR", |text| formats::duration(text, Unit::Hours)),
        exercise_folders: exercise_folders(inputs),
    };
    if settings.dont_start {
        inputs.warn("DONT_START_CONTAINER is set: containers are created and wait for you to start them");
    }
    let DockerSettings { timeout, pull, pull_timeout, .. } = settings.docker;
    let longest = if pull { timeout.max(pull_timeout) } else { timeout };
    if settings.retry_for < longest {
        let what = if longest == timeout { "DOCKER_TIMEOUT" } else { "DOCKER_PULL_TIMEOUT" };
        inputs.warn(format!(
            "START_RETRY_FOR is shorter than {what}: a start that Docker is slow with is not tried again"
        ));
    }
    settings
}

/// The folders that submissions have to lie in.
pub(super) fn exercise_folders(inputs: &mut Inputs) -> Vec<PathBuf> {
    inputs.read("EXERCISE_FOLDERS", folders)
}

/// How many bytes of a container's output are kept.
pub(super) fn output_limit(inputs: &mut Inputs) -> u64 {
    inputs.read("CONTAINER_OUTPUT_LIMIT", |text| formats::size(text, 1 << 10, 1 << 30))
}

/// Folders between ':' or ',', as plain absolute paths.
fn folders(text: &str) -> Result<Vec<PathBuf>, formats::Allowed> {
    let folders = text.split([':', ',']).map(str::trim).filter(|folder| !folder.is_empty());
    let read = |folder: &str| {
        let plain = exercise::plain(folder);
        let is_one = folder.starts_with('/') && plain.parent().is_some();
        is_one
            .then_some(plain)
            .ok_or_else(|| "absolute paths of folders other than /, with ':' or ',' between them".into())
    };
    folders.map(read).collect()
}

/// Where the files of submissions are deleted.
fn remove_exercises_in(inputs: &mut Inputs) -> Vec<PathBuf> {
    let folders = exercise_folders(inputs);
    let (is_wanted, is_known) =
        (inputs.read("REMOVE_EXERCISE", formats::boolean), inputs.is_set("EXERCISE_FOLDERS"));
    if let (true, false, Some(found)) = (is_wanted, is_known, inputs.find("REMOVE_EXERCISE")) {
        inputs.report(Problem::Unusable {
            setting: "REMOVE_EXERCISE",
            origin: found.origin,
            what: "files are deleted only in the folders of EXERCISE_FOLDERS, which is not set".into(),
        });
    }
    if is_wanted { folders } else { Vec::new() }
}

pub(super) fn completer(inputs: &mut Inputs) -> CompleterSettings {
    let mut settings = CompleterSettings {
        common: common(inputs),
        docker: docker(inputs),
        output_limit: output_limit(inputs),
        sweep_interval: inputs.read("SWEEP_INTERVAL", |text| formats::some_duration(text, Unit::Seconds)),
        reruns: inputs.read("CONTAINER_RERUNS", |text| formats::whole(text, 0, 100)),
        remove_exercises_in: remove_exercises_in(inputs),
        images: ImageRetention {
            keep_for: inputs
                .read_optional("IMAGES_KEEP_FOR", |text| formats::some_duration(text, Unit::Hours)),
            min_free_disk: inputs
                .read_optional("IMAGES_MIN_FREE_DISK", |text| formats::size(text, 1 << 20, MOST_DISK)),
        },
    };
    if settings.images != ImageRetention::default() && !settings.docker.pull {
        settings.images = ImageRetention::default();
        inputs.warn(
            "IMAGES_KEEP_FOR or IMAGES_MIN_FREE_DISK is set, but DOCKER_PULL is not: no image is removed, since no start \
             would pull it again",
        );
    }
    settings
}

pub(super) fn notifier(inputs: &mut Inputs) -> NotifierSettings {
    let settings = NotifierSettings {
        common: common(inputs),
        concurrency: concurrency(inputs, "CONCURRENT_NOTIFIERS"),
        rate: rate(inputs, "NOTIFY_RATE_MAX", "NOTIFY_RATE_DURATION"),
        timeout: inputs.read("NOTIFY_TIMEOUT", |text| formats::some_duration(text, Unit::Milliseconds)),
        ca_file: inputs.read_optional("CALLBACK_CA_FILE", |text| {
            let path = PathBuf::from(text);
            readable(&path).map(|()| path).map_err(|problem| format!("a readable PEM file ({problem})"))
        }),
        egress: super::callbacks::egress(inputs),
        signing: signing::keys(inputs),
    };
    if settings.timeout > Duration::from_secs(600) {
        inputs.warn(
            "NOTIFY_TIMEOUT is longer than 10 minutes: a receiver that hangs takes one of CONCURRENT_NOTIFIERS \
             for so long",
        );
    }
    settings
}

pub(super) fn log(inputs: &mut Inputs) -> LogSettings {
    let development = inputs.plain("NODE_ENV").is_some_and(|found| found.text.trim() == "development");
    let format = inputs.read_optional("LOG_FORMAT", |text| match text.to_lowercase().as_str() {
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        _ => Err("json or pretty".into()),
    });
    LogSettings {
        level: inputs.read("LOG_LEVEL", |text| {
            LogLevel::named(text).ok_or_else(|| "trace, debug, info, warn, error, fatal or silent".into())
        }),
        destination: inputs.read("LOG_FILE", |text| {
            Ok(match text {
                "1" => LogDestination::StandardOutput,
                "2" => LogDestination::StandardError,
                path => LogDestination::File(PathBuf::from(path)),
            })
        }),
        format: format.or(development.then_some(LogFormat::Pretty)),
    }
}

fn concurrency(inputs: &mut Inputs, name: &'static str) -> usize {
    let number = inputs.read(name, |text| formats::whole(text, 1, 10_000));
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn rate(inputs: &mut Inputs, max: &'static str, duration: &'static str) -> Option<RateLimit> {
    let limit = RateLimit {
        max: inputs.read(max, |text| formats::whole(text, 0, 1_000_000)),
        duration: inputs.read(duration, |text| formats::some_duration(text, Unit::Milliseconds)),
    };
    if limit.max == 0 && inputs.is_set(duration) {
        inputs.warn(format!("{duration} is set, but {max} is 0: there is no limit"));
    }
    Some(limit).filter(|limit| limit.max > 0)
}
