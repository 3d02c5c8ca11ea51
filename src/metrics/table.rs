//! Every metric there is: its name, its labels, what it means.
//!
//! Names follow <https://prometheus.io/docs/practices/naming/>: base units, the unit last, `_total` where something
//! only grows; those of the process as a whole are the ones that all clients share
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use super::calls::{ByCall, Fault};
use super::images::Corrections;
use super::kinds::{Calls, Counter, Family, Histogram, Level, Listed, Names, Series, Spent, Stages};
use super::labels::{
    Attempted, CameOf, EventKind, Find, ImageState, JobState, Part, Place, QueueName, ReceiverState,
    Resource, Stage,
};
use super::page::{Format, Metric, Page};

macro_rules! registry {
    ($($(#[doc = $help:literal])+ $field:ident: $series:ty = $name:literal,)+) => {
        /// The metrics of a process, one by one.
        #[derive(Debug, Default)]
        pub struct Registry { $($(#[doc = $help])+ pub $field: $series,)+ }

        impl Registry {
            /// The page of all metrics.
            #[must_use]
            pub fn page(&self, format: Format) -> String {
                let mut page = Page::new(format);
                $(page.family(&Metric::of::<$series>($name, concat!($($help),+)), |lines| self.$field.write(lines));)+
                page.end()
            }
        }

        /// All metrics, in the order of the page.
        #[must_use]
        pub fn all() -> Vec<Metric> {
            vec![$(Metric::of::<$series>($name, concat!($($help),+)),)+]
        }
    };
}

registry! {
    /// Corrections that this process ended, by the grader's image and by outcome; verdict = the grader gave one. Their
    /// results may still have to be delivered. What still waits when a person cancels it (cancel, queues drain) is
    /// ended by that command and counted by nobody.
    corrections: Corrections = "correction_runner_corrections_total",
    /// Time from a submission's entry into its queue until its result waits for delivery.
    correction_time: Histogram<Stages> = "correction_runner_correction_duration_seconds",
    /// Time that the stages of corrections took. Deliver counts from the result's entry into its queue, with all
    /// attempts and the waits between them.
    stages: Family<Stage, Histogram<Stages>> = "correction_runner_stage_duration_seconds",
    /// Corrections that were put back to be run again, since the Docker host had failed them.
    reruns: Counter = "correction_runner_reruns_total",
    /// Starts that were put off, since what hindered them may pass.
    starts_postponed: Counter = "correction_runner_starts_postponed_total",

    /// Jobs in this process's hands: those whose locks it keeps.
    in_flight: Family<QueueName, Level> = "correction_runner_jobs_in_flight",
    /// Jobs that this process took.
    taken: Family<QueueName, Counter> = "correction_runner_jobs_taken_total",
    /// Locks of jobs that this process lost: it was too slow to renew them, and somebody else has the job.
    lock_losses: Family<QueueName, Counter> = "correction_runner_lock_losses_total",
    /// Jobs that this process put back in line, since whoever had them was gone.
    stalled: Family<QueueName, Counter> = "correction_runner_stalled_jobs_total",
    /// Jobs in each queue, whoever looks; as Redis said some seconds ago.
    queue_jobs: Family<QueueName, Family<JobState, Level>> = "correction_runner_queue_jobs",
    /// How long ago the oldest job that waits in a queue was added to it, also one that stands aside for a permit,
    /// its image or a receiver that hangs; 0 = none waits.
    oldest_waiting: Family<QueueName, Level> = "correction_runner_queue_oldest_waiting_seconds",

    /// Whether the completer follows the engine's events.
    event_stream_up: Level = "correction_runner_event_stream_up",
    /// How often the engine's events had to be followed anew, after the stream broke.
    event_reconnects: Counter = "correction_runner_event_stream_reconnects_total",
    /// Events of the engine that concern a correction.
    events: Family<EventKind, Counter> = "correction_runner_events_total",
    /// Time from when something happened in the engine until it was read here, by both clocks (known to be apart by
    /// what the engine's answers tell).
    event_lag: Histogram<Calls> = "correction_runner_event_lag_seconds",
    /// What the completer has to do.
    work: Family<Part, Level> = "correction_runner_completer_work",
    /// Sweeps: looks for what the events missed.
    sweeps: Family<CameOf, Counter> = "correction_runner_sweeps_total",
    /// What sweeps found, each once: an orphan or a container to be removed when it is first found, one that is
    /// overdue when it is killed.
    sweep_finds: Family<Find, Counter> = "correction_runner_sweep_finds_total",
    /// When the last sweep was done.
    last_sweep: Level = "correction_runner_last_sweep_timestamp_seconds",
    /// Removals of containers that nobody needs any more.
    removals: Family<CameOf, Counter> = "correction_runner_container_removals_total",

    /// How many containers may run at once on the engine (`MAX_RUNNING`); there is none where any number may.
    permits_limit: Level = "correction_runner_permits_limit",
    /// How many containers run on the engine, or are about to, those of all its starters.
    permits_used: Level = "correction_runner_permits_used",
    /// Whether nothing is started, since the engine's host has too little of something.
    host_short: Family<Resource, Level> = "correction_runner_host_short",
    /// What is free on the engine's host, where it is watched (`MIN_FREE_DISK`, `MIN_FREE_MEMORY`).
    host_free: Family<Resource, Level> = "correction_runner_host_free_bytes",
    /// Whether nothing is started, since the engine is away.
    starts_paused: Level = "correction_runner_starts_paused",
    /// Images whose submissions wait, by why.
    images: Family<ImageState, Level> = "correction_runner_images_held",

    /// Attempts at deliveries.
    attempts: Family<Attempted, Counter> = "correction_runner_delivery_attempts_total",
    /// Time that attempts at deliveries took.
    attempt_time: Histogram<Calls> = "correction_runner_delivery_attempt_duration_seconds",
    /// Deliveries that are under way.
    deliveries: Family<Place, Level> = "correction_runner_deliveries_in_flight",
    /// Receivers of callbacks that are remembered, by how they answer.
    receivers: Family<ReceiverState, Level> = "correction_runner_receivers",
    /// Deliveries that this process gave up: each is a result that nobody has.
    dead_letters: Counter = "correction_runner_dead_letters_total",
    /// Dead letters that are not kept any more, since there were too many: their results are lost.
    dead_letters_lost: Counter = "correction_runner_dead_letters_lost_total",

    /// Time that calls to Redis took, those that failed too; the wait for new jobs is none of them.
    redis_calls: ByCall<Histogram<Calls>> = "correction_runner_redis_call_duration_seconds",
    /// Calls to Redis that failed.
    redis_errors: ByCall<Family<Fault, Counter>> = "correction_runner_redis_call_errors_total",
    /// Calls to Redis that are under way.
    redis_calls_open: Level = "correction_runner_redis_calls_in_flight",
    /// Connections that were made to Redis; more than a few are reconnects.
    redis_connections: Counter = "correction_runner_redis_connections_total",
    /// Time that calls to the Docker engine took, those that failed too; a pull is a call.
    docker_calls: ByCall<Histogram<Calls>> = "correction_runner_docker_call_duration_seconds",
    /// Calls to the Docker engine that failed. What it says of a container or an image that is not there is no failure.
    docker_errors: ByCall<Family<Fault, Counter>> = "correction_runner_docker_call_errors_total",

    /// Whether /readyz says that the process is ready.
    ready: Level = "correction_runner_ready",
    /// Each thing that has to be well for the process to be ready, and whether it is, as /readyz names it.
    checks: Listed<Checks> = "correction_runner_check_up",
    /// The program that runs.
    build: Listed<Build> = "correction_runner_build_info",

    /// Total user and system CPU time spent in seconds.
    cpu: Spent = "process_cpu_seconds_total",
    /// Number of open file descriptors.
    open_files: Level = "process_open_fds",
    /// Maximum number of open file descriptors.
    most_files: Level = "process_max_fds",
    /// Virtual memory size in bytes.
    virtual_memory: Level = "process_virtual_memory_bytes",
    /// Resident memory size in bytes.
    resident_memory: Level = "process_resident_memory_bytes",
    /// Start time of the process since unix epoch in seconds.
    started: Level = "process_start_time_seconds",
    /// Number of OS threads in the process.
    threads: Level = "process_threads",
}

/// The labels of a check.
#[derive(Debug)]
pub struct Checks;

impl Names for Checks {
    const NAMES: &'static [&'static str] = &["check"];
}

/// The labels of the program.
#[derive(Debug)]
pub struct Build;

impl Names for Build {
    const NAMES: &'static [&'static str] = &["version", "revision", "component"];
    const IS_INFO: bool = true;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics::Kind;

    #[test]
    fn each_metric_is_on_the_page_of_either_format_once() {
        let registry = Registry::default();
        for format in [Format::OpenMetrics, Format::Prometheus] {
            let page = registry.page(format);
            let typed: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
            assert_eq!(typed.len(), all().len());
            for (metric, line) in all().iter().zip(typed) {
                let (name, _) = line.split_once(' ').expect("a name and a kind");
                assert!(metric.name.starts_with(name), "{} is shown as {name}", metric.name);
            }
        }
    }

    #[test]
    fn names_and_texts_keep_the_conventions() {
        let mut names = BTreeSet::new();
        for Metric { name, kind, unit, help, labels } in all() {
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("correction_runner_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert_eq!(kind == Kind::Info, name.ends_with("_info"), "{name}");
            assert_eq!(
                kind == Kind::Histogram,
                name.ends_with("_duration_seconds") || name.ends_with("_lag_seconds")
            );
            assert!(
                help.ends_with('.') && !help.contains(['"', '\\', '\n']) && !help.contains("  "),
                "{name}: {help}"
            );
            assert!(unit.is_none_or(|unit| name.contains(unit)), "{name}");
            for label in labels {
                assert!(
                    !["le", "quantile", "job", "instance"].contains(&label.name),
                    "{name}: {}",
                    label.name
                );
            }
        }
    }
}
