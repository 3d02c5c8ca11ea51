//! Several processes of each component: started, killed and started again, as a supervisor would do it.

use std::collections::BTreeMap;

use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};

use crate::support::system::System;

/// The components, in the order in which a correction passes them.
pub const KINDS: [&str; 3] = ["starter", "completer", "notifier"];

/// The queue from which a component takes.
pub fn queue_of(kind: &str) -> &'static str {
    match kind {
        "starter" => PENDING_QUEUE,
        "completer" => RUNNING_QUEUE,
        "notifier" => FINISHED_QUEUE,
        other => panic!("{other} is no component"),
    }
}

/// Starts so many processes of each component: `starter-1`, `starter-2`, `completer-1`, …
pub fn spawn_all(system: &mut System, of_each: usize) {
    for number in 1..=of_each {
        for kind in KINDS {
            system.spawn_as(&format!("{kind}-{number}"), kind);
        }
    }
}

/// The names of all processes that run, in an order that is the same each time.
pub fn names(system: &System) -> Vec<String> {
    let mut names = system.running_components();
    names.sort();
    names
}

/// Which component a process is.
pub fn kind_of(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

/// Kills processes without warning, all of them before the first is started again.
pub async fn kill_and_restart(system: &mut System, victims: &[String]) {
    for name in victims {
        system.kill(name).await;
    }
    for name in victims {
        system.spawn_as(name, kind_of(name));
    }
}

/// The locks of a queue's active jobs: whose token each holds, where it is locked.
pub async fn locks(system: &System, queue: &str) -> BTreeMap<String, String> {
    let script = "local found = {} \
        for _, id in ipairs(redis.call('LRANGE', KEYS[1] .. 'active', 0, -1)) do \
            local token = redis.call('GET', KEYS[1] .. id .. ':lock') \
            if token then found[#found + 1] = id .. ' ' .. token end \
        end return found";
    let answer = system.ask(&["EVAL", script, "1", &format!("bull:{queue}:")]).await;
    let pairs = answer.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(id, token)| (id.to_owned(), token.to_owned())).collect()
}

/// Which take ended each of some jobs, by its token.
pub async fn ended_by(
    system: &System,
    queue: &str,
    ids: impl Iterator<Item = &String>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for id in ids {
        let token = system.ask(&["HGET", &format!("bull:{queue}:{id}"), "ended-by"]).await;
        found.insert(id.clone(), token);
    }
    found
}
