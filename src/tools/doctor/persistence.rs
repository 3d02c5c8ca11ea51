//! Redis: what it would still know after a crash.

use super::finding::Findings;
use crate::queue::{QueueError, Redis, ServerFacts};

pub(super) async fn check(redis: &Redis, facts: &ServerFacts, into: &mut Findings) -> Result<(), QueueError> {
    match facts.number("aof_enabled") {
        Some(1) => append_only(redis.setting("appendfsync").await?.as_deref(), into),
        Some(_) => no_append_only(redis.setting("save").await?.as_deref(), into),
        None => {}
    }
    for (field, what) in [
        ("aof_last_write_status", "it could not write to its append-only file"),
        ("aof_last_bgrewrite_status", "it could not write its append-only file anew"),
        ("rdb_last_bgsave_status", "it could not write its last snapshot"),
    ] {
        if facts.get(field).is_some_and(|status| status != "ok") {
            into.fail(
                "last_save",
                format!("{what}, and may refuse new jobs for that reason ({field})"),
                "see Redis's log: usually its disk is full or not its own; then BGSAVE, or BGREWRITEAOF",
            );
        }
    }
    if facts.number("loading") == Some(1) {
        into.warn("loading", "it is still loading its data", "wait");
    }
    Ok(())
}

fn append_only(sync: Option<&str>, into: &mut Findings) {
    match sync {
        Some("no") => into.warn(
            "persistence",
            "appendonly is yes, but appendfsync is no: a crash of its machine loses half a minute and more",
            "CONFIG SET appendfsync everysec, and the same in redis.conf",
        ),
        Some(sync) => into.ok("persistence", format!("appendonly is yes, appendfsync is {sync}")),
        None => into.ok("persistence", "appendonly is yes"),
    }
}

fn no_append_only(save: Option<&str>, into: &mut Findings) {
    let remedy =
        "CONFIG SET appendonly yes, and appendonly yes in redis.conf (before a restart, or it begins empty)";
    match save {
        Some("") => into.fail(
            "persistence",
            "appendonly is no and there are no snapshots (save): when Redis ends, every correction is gone",
            remedy,
        ),
        save => {
            let when = save.map_or_else(String::new, |save| format!(" (save {save})"));
            into.warn(
                "persistence",
                format!("appendonly is no: a crash loses all corrections since the last snapshot{when}"),
                remedy,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::doctor::finding::Verdict;

    #[test]
    fn what_a_crash_would_lose_decides() {
        let worst = |check: &dyn Fn(&mut Findings)| {
            let mut findings = Findings::of("redis", "Redis");
            check(&mut findings);
            findings.worst()
        };
        for (sync, expected) in [
            (Some("everysec"), Verdict::Ok),
            (Some("always"), Verdict::Ok),
            (Some("no"), Verdict::Warning),
            (None, Verdict::Ok),
        ] {
            assert_eq!(worst(&|into| append_only(sync, into)), Some(expected), "{sync:?}");
        }
        for (save, expected) in
            [(Some(""), Verdict::Failure), (Some("3600 1"), Verdict::Warning), (None, Verdict::Warning)]
        {
            assert_eq!(worst(&|into| no_append_only(save, into)), Some(expected), "{save:?}");
        }
    }
}
