//! Clocks, and what is left of the machine of an engine.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use super::finding::Findings;
use crate::config::StarterSettings;
use crate::docker::{About, free_disk, free_memory};
use crate::tools::terminal::{bytes, span};

/// How long the file system may take to tell how much is free.
const PATIENCE: Duration = Duration::from_secs(10);
/// Below this a disk fills up before anybody looks.
const LITTLE_DISK: u64 = 5 << 30;
/// How many containers share a processor before they mostly wait for it.
const PER_PROCESSOR: f64 = 4.0;

/// How far another clock is ahead of ours. `bounds`: from where on it matters, and from where on it is wrong.
pub(super) fn clock(whose: &str, ahead: SignedDuration, bounds: (Duration, Duration), into: &mut Findings) {
    let apart = ahead.unsigned_abs();
    let found = || {
        let word = if ahead.is_negative() { "behind" } else { "ahead of" };
        format!("the clock of {whose} is {} {word} this machine's", span(apart))
    };
    let remedy = "keep the time of both machines by NTP (timedatectl set-ntp true)";
    if apart >= bounds.1 {
        let more = "time limits, retries and signatures of callbacks go wrong";
        into.fail("clock", format!("{}: {more}", found()), remedy);
    } else if apart >= bounds.0 {
        into.warn("clock", found(), remedy);
    } else {
        into.ok("clock", format!("the clock of {whose} agrees with this machine's"));
    }
}

/// Room on the engine's disk, where it can be seen from here.
pub(super) async fn disk(root: Option<PathBuf>, least: Option<u64>, into: &mut Findings) {
    let Some(root) = root else {
        into.note("disk", "the engine does not tell where it keeps its files", "");
        return;
    };
    let shown = root.display().to_string();
    let asked = tokio::task::spawn_blocking(move || free_disk(&root));
    let Ok(Ok(Some(free))) = tokio::time::timeout(PATIENCE, asked).await else {
        into.note(
            "disk",
            format!("{shown}, where the engine keeps its files, cannot be seen from here: MIN_FREE_DISK counts for nothing"),
            "nothing, if somebody else watches that disk; in a container mount the folder read-only at the same path",
        );
        return;
    };
    let text = format!("{} are free in {shown}, where the engine keeps its files", bytes(free));
    match least {
        Some(least) if free < least => into.fail(
            "disk",
            format!("{text}; MIN_FREE_DISK is {}: nothing is started", bytes(least)),
            "docker system prune, more disk, or another MIN_FREE_DISK",
        ),
        _ if free < LITTLE_DISK => into.warn("disk", text, "docker system prune, or more disk"),
        _ => into.ok("disk", text),
    }
}

/// Memory of the machine that we share with an engine.
pub(super) fn memory(least: Option<u64>, into: &mut Findings) {
    let Some(free) = free_memory() else { return };
    let text = format!("{} of this machine's memory can be had", bytes(free));
    match least {
        Some(least) if free < least => into.fail(
            "free_memory",
            format!("{text}; MIN_FREE_MEMORY is {}: nothing is started", bytes(least)),
            "see what uses it (ps aux --sort=-rss), or set another MIN_FREE_MEMORY",
        ),
        _ => into.ok("free_memory", text),
    }
}

/// Whether the host bears what may run at once.
pub(super) fn room(starter: &StarterSettings, about: &About, into: &mut Findings) {
    let base = starter.policy.base();
    let (cpus, memory) = (about.cpus, about.memory);
    let host = format!("the host has {cpus} processors and {}", bytes(memory));
    let Some(most) = starter.max_running else {
        into.ok("room", format!("{host}; how many containers run at once follows from that (MAX_RUNNING)"));
        return;
    };
    if most == 0 {
        into.note(
            "room",
            format!("{host}, and any number of containers may run at once (MAX_RUNNING=0)"),
            "leave MAX_RUNNING unset: it follows from the host then",
        );
        return;
    }
    let wanted = base.memory.map(|each| each.saturating_mul(u64::from(most)));
    if let Some(wanted) = wanted.filter(|wanted| memory > 0 && *wanted > memory) {
        let each = bytes(base.memory.unwrap_or(0));
        into.warn(
            "room",
            format!(
                "{most} containers (MAX_RUNNING) of {each} (CONTAINER_MEMORY) may want {}; {host}",
                bytes(wanted)
            ),
            "lower one of them: the kernel kills graders where memory runs out, and students are told so",
        );
        return;
    }
    let processors = base.cpus.unwrap_or(1.0) * f64::from(most);
    if cpus > 0 && processors > f64::from(cpus) * PER_PROCESSOR {
        into.note(
            "room",
            format!("{most} containers (MAX_RUNNING) may want {processors} processors; {host}"),
            "lower MAX_RUNNING where graders run into CONTAINER_TIMEOUT",
        );
        return;
    }
    into.ok("room", format!("{host}; at most {most} containers run at once (MAX_RUNNING)"));
}
