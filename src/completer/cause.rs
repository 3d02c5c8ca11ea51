//! Why a container ended that left no verdict: by itself, by its limits, or by the engine.
//!
//! The engine's faults are told as the engine's (DESIGN, invariant 9). It is to blame
//! - where the end fell in an outage of the event stream: what was printed then may be lost. That an event tells of
//!   it proves nothing, since an engine that comes back tells the deaths that it missed;
//! - where nobody saw the end and the engine notes 255, which is what it notes for a container that it found gone
//!   when it came up;
//! - where the container was stopped (137, 143), seen or not, while the engine went down or came up: one that
//!   is asked to stop ends its containers first, and one that was killed ends, when it is back, those that
//!   lived on. That it goes down is not known yet when their deaths are told, so that no end without a
//!   verdict is concluded from before the engine has taken a new connection ([`Scene::engine_stays`]);
//! - where a container was stopped before this process watched, and nobody saw it: so ends what runs when a
//!   machine is shut down;
//! - where a container ended with code 0 before this process watched, nobody saw it, and nothing at all is
//!   there of its output: what a daemon that was killed, or a machine that went down, leaves looks so too;
//! - where the event tells 255 and the inspection another code: the engine lost the container's shim.

use std::time::Duration;

use crate::docker::{Inspected, State};
use crate::ending::Ending;

use super::collect::{Ended, elapsed};
use super::disks;
use super::inflight::End;
use super::scene::Scene;
use super::session::Outages;
use super::witness::Seen;

/// What the engine notes for a container that ended while it was away itself, or whose shim it lost.
const LOST_BY_ENGINE: i64 = 255;
/// The exit code of a process that was killed.
const SIGKILL: i64 = 137;
/// How exactly we know when a container's time was up.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// What is known of the end of a container without a verdict, but for its disk.
/// `silent` = it printed nothing at all.
pub fn ending_of(scene: Scene<'_>, ended: &Ended, inspected: Option<&Inspected>, silent: bool) -> Ending {
    cause(scene.outages, scene.witness.of(&ended.container), ended, inspected, silent)
}

/// Whether it was killed, and nothing that is known tells by whom.
pub fn is_killed_by_nobody(ending: &Ending) -> bool {
    let known = ending.engine_outage || ending.oom_killed || ending.timed_out.is_some();
    ending.exit_code == Some(SIGKILL) && !known
}

/// Whether an end that was told as it happened may be the first sign of an engine that goes down.
pub fn may_be_of_an_engine_going_down(ended: &Ended, ending: &Ending) -> bool {
    let stopped = ending.timed_out.is_some() || ending.disk.is_some();
    let known = ending.engine_outage || is_killed_for_memory(ending) || stopped;
    matches!(ended.end, End::Died { .. } | End::Found) && !known
}

/// Whether the kernel may have ended it for want of memory. That it ended a process of the container, maybe long
/// before, explains no other code than that of a kill.
fn is_killed_for_memory(ending: &Ending) -> bool {
    ending.oom_killed && ending.exit_code == Some(SIGKILL)
}

fn cause(
    outages: &Outages,
    seen: Seen,
    ended: &Ended,
    inspected: Option<&Inspected>,
    silent: bool,
) -> Ending {
    let told = match ended.end {
        End::Died { exit_code } => exit_code,
        End::Found | End::Removed | End::Gone | End::Unstoppable => None,
    };
    let mut ending = Ending { exit_code: told, oom_killed: seen.oom, usage: seen.usage, ..Ending::default() };
    if let Some(inspected) = inspected {
        ending.elapsed = ran_for(inspected);
        ending.oom_killed |= inspected.oom_killed;
        ending.memory_limit = inspected.memory_limit;
        ending.pids_limit = inspected.pids_limit;
        ending.disk_limit = disks::limit_of(inspected);
        ending.no_network = inspected.no_network;
        ending.exit_code = agreed_exit_code(told, inspected);
    }
    ending.timed_out = ended.timeout.filter(|limit| was_stopped_for_time(ended.timed_out, &ending, *limit));
    // What we stopped, since its time was up or its disk full, was stopped by us, whatever else befell the engine
    // in that moment.
    let by_us = ended.timed_out && ending.timed_out.is_some()
        || seen.disk.is_some() && ending.exit_code == Some(SIGKILL);
    ending.engine_outage = !by_us
        && inspected.is_some_and(|inspected| is_the_engines(outages, told, inspected, &ending, silent));
    ending
}

/// Whether the engine is to blame.
fn is_the_engines(
    outages: &Outages,
    told: Option<i64>,
    inspected: &Inspected,
    ending: &Ending,
    silent: bool,
) -> bool {
    let during = |when: &dyn Fn(jiff::Timestamp) -> bool| inspected.finished_at.is_some_and(when);
    let unseen = told.is_none();
    let stopped = matches!(ending.exit_code, Some(137 | 143)) && !is_killed_for_memory(ending);
    let nothing_is_left = silent && ending.exit_code == Some(0);
    let lost = if unseen {
        ending.exit_code == Some(LOST_BY_ENGINE)
    } else {
        told == Some(LOST_BY_ENGINE) && ending.exit_code != told
    };
    lost || (unseen || !is_killed_for_memory(ending)) && during(&|at| outages.covers(at))
        || stopped && during(&|at| outages.may_have_stopped(at))
        || unseen
            && (stopped && ending.timed_out.is_none() || nothing_is_left)
            && during(&|at| outages.unwatched(at))
}

/// The daemon says 255 of a container whose shim it lost; an inspection may know better. A container
/// that runs again (restarted by hand) has no exit code of its own, so the event's counts.
fn agreed_exit_code(told: Option<i64>, inspected: &Inspected) -> Option<i64> {
    let found = matches!(inspected.state, State::Exited | State::Dead).then_some(inspected.exit_code);
    match told {
        Some(LOST_BY_ENGINE) | None => found.or(told),
        Some(code) => Some(code),
    }
}

/// Whether it ran until it was killed for its deadline, by us or by another completer. One that was killed
/// for it may have ended long before: an engine that lost an event says that it runs.
fn was_stopped_for_time(by_us: bool, ending: &Ending, limit: Duration) -> bool {
    match ending.elapsed {
        Some(elapsed) if by_us => elapsed + CLOCKS_DIFFER >= limit,
        Some(elapsed) => ending.exit_code == Some(SIGKILL) && elapsed >= limit,
        None => by_us,
    }
}

fn ran_for(inspected: &Inspected) -> Option<Duration> {
    elapsed(inspected.started_at?, inspected.finished_at?)
}

#[cfg(test)]
mod tests {

    use jiff::Timestamp;

    use super::super::tries::Tries;
    use super::*;
    use crate::docker::Outage;
    use crate::identity::ContainerId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn inspected(state: State, exit_code: i64) -> Inspected {
        Inspected { memory_limit: Some(1 << 30), ..Inspected::of(state, exit_code) }
    }

    fn ended(end: End, timed_out: bool) -> Ended {
        let timeout = Some(Duration::from_secs(100));
        Ended { container: ContainerId::new("c"), end, timed_out, timeout, tries: Tries::default() }
    }

    /// Watching since 1000, away from 2000 to 2010.
    fn outages() -> Outages {
        let outages = Outages::default();
        outages.watching(at(1000));
        outages.end(Outage { from: at(2000), to: at(2010) });
        outages
    }

    fn ending(told: Option<i64>, exit_code: i64, finished: i64) -> Ending {
        ending_with(told, exit_code, finished, false)
    }

    fn ending_with(told: Option<i64>, exit_code: i64, finished: i64, silent: bool) -> Ending {
        let end = told.map_or(End::Found, |code| End::Died { exit_code: Some(code) });
        let found = Inspected {
            started_at: Some(at(finished - 10)),
            finished_at: Some(at(finished)),
            ..inspected(State::Exited, exit_code)
        };
        cause(&outages(), Seen::default(), &ended(end, false), Some(&found), silent)
    }

    #[test]
    fn an_end_in_an_outage_is_the_engines_whatever_its_code_and_whether_it_was_told_later() {
        for code in [0, 1, 137, 143] {
            assert!(ending(None, code, 2005).engine_outage, "{code}");
            assert!(ending(Some(code), code, 2005).engine_outage, "{code}");
            assert!(!ending(None, code, 3000).engine_outage, "{code}");
            assert!(!ending(Some(code), code, 3000).engine_outage, "{code}");
        }
        assert!(ending(None, 255, 3000).engine_outage);
    }

    #[test]
    fn who_was_stopped_while_the_engine_went_down_or_came_up_was_stopped_by_it() {
        for code in [137, 143] {
            for (finished, of_the_engine) in
                [(1900, false), (1995, true), (2005, true), (2015, true), (2100, false)]
            {
                assert_eq!(
                    ending(Some(code), code, finished).engine_outage,
                    of_the_engine,
                    "{code} {finished}"
                );
            }
        }
        assert!(!ending(Some(1), 1, 2015).engine_outage, "its own code was told and is believed");
    }

    #[test]
    fn who_was_stopped_before_anybody_watched_and_unseen_was_stopped_by_the_engine() {
        assert!(ending(None, 143, 900).engine_outage);
        assert!(!ending(Some(143), 143, 900).engine_outage);
        assert!(!ending(None, 1, 900).engine_outage);
    }

    #[test]
    fn an_end_without_a_trace_before_anybody_watched_is_what_a_host_that_went_down_leaves() {
        assert!(ending_with(None, 0, 900, true).engine_outage);
        assert!(!ending_with(None, 0, 900, false).engine_outage, "it printed something");
        assert!(!ending_with(None, 3, 900, true).engine_outage, "its own code was noted");
        assert!(!ending_with(None, 0, 3000, true).engine_outage, "we watched");
        assert!(!ending_with(Some(0), 0, 900, true).engine_outage, "its end was seen");
    }

    #[test]
    fn a_lost_shim_is_the_engines_and_an_exit_code_of_255_of_the_graders_own_is_not() {
        assert!(ending(Some(255), 137, 3000).engine_outage);
        assert!(!ending(Some(255), 255, 3000).engine_outage);
    }

    #[test]
    fn memory_that_ran_out_is_no_fault_of_an_engine_that_came_up() {
        let found =
            Inspected { finished_at: Some(at(2015)), oom_killed: true, ..inspected(State::Exited, 137) };
        let told = End::Died { exit_code: Some(137) };
        let ending = cause(&outages(), Seen::default(), &ended(told, false), Some(&found), false);
        assert!(ending.oom_killed && !ending.engine_outage);
    }

    #[test]
    fn a_child_that_was_killed_for_memory_does_not_explain_that_the_grader_was_stopped_later() {
        let ending = |told: Option<i64>, code, finished| {
            let finished_at = Some(at(finished));
            let found = Inspected { finished_at, oom_killed: true, ..inspected(State::Exited, code) };
            let end = told.map_or(End::Found, |code| End::Died { exit_code: Some(code) });
            cause(&outages(), Seen::default(), &ended(end, false), Some(&found), false)
        };
        assert!(ending(Some(143), 143, 1995).engine_outage, "the engine went down");
        assert!(ending(Some(143), 143, 2015).engine_outage, "the engine came up");
        assert!(ending(None, 143, 900).engine_outage, "before anybody watched");
        assert!(ending(Some(0), 0, 2005).engine_outage, "in an outage no code is believed");
        assert!(!ending(Some(0), 0, 2015).engine_outage && !ending(Some(143), 143, 3000).engine_outage);
        let told = |code| ended(End::Died { exit_code: Some(code) }, false);
        for (code, asked) in [(137, false), (143, true), (0, true)] {
            let ending = ending(Some(code), code, 3000);
            assert_eq!(may_be_of_an_engine_going_down(&told(code), &ending), asked, "{code}");
        }
    }

    #[test]
    fn memory_that_ran_out_is_known_by_the_event_as_well_as_by_the_inspection() {
        let (found, told) = (inspected(State::Exited, 137), End::Died { exit_code: Some(137) });
        let ending = |seen| cause(&outages(), seen, &ended(told.clone(), false), Some(&found), false);
        let killed = ending(Seen::default());
        assert!(is_killed_by_nobody(&killed));
        assert_eq!((killed.memory_limit, killed.no_network), (Some(1 << 30), true));
        let oom = ending(Seen { oom: true, ..Seen::default() });
        assert!(oom.oom_killed && !is_killed_by_nobody(&oom));
    }

    #[test]
    fn who_was_stopped_for_a_full_disk_was_stopped_by_us() {
        let found = Inspected { finished_at: Some(at(2005)), ..inspected(State::Exited, 137) };
        let told = ended(End::Died { exit_code: Some(137) }, false);
        let disk = Some(crate::usage::Disk { used: 2, allowed: 1 });
        let ending = |seen| cause(&outages(), seen, &told, Some(&found), false);
        assert!(ending(Seen::default()).engine_outage);
        assert!(!ending(Seen { disk, ..Seen::default() }).engine_outage);
        let full = Ending { disk, ..ending(Seen { disk, ..Seen::default() }) };
        assert!(!may_be_of_an_engine_going_down(&told, &full));
    }

    #[test]
    fn an_exit_code_of_255_is_doubted_and_any_other_in_an_event_is_not() {
        let exited = inspected(State::Exited, 3);
        assert_eq!(agreed_exit_code(Some(255), &exited), Some(3));
        assert_eq!(agreed_exit_code(None, &exited), Some(3));
        assert_eq!(agreed_exit_code(Some(0), &exited), Some(0));
        let restarted = inspected(State::Running, 0);
        assert_eq!(agreed_exit_code(Some(255), &restarted), Some(255));
        assert_eq!(agreed_exit_code(None, &restarted), None);
    }

    #[test]
    fn a_container_killed_after_its_limit_was_killed_for_it() {
        let limit = Duration::from_secs(10);
        let ending = |exit_code, seconds| Ending {
            exit_code: Some(exit_code),
            elapsed: Some(Duration::from_secs(seconds)),
            ..Ending::default()
        };
        assert!(was_stopped_for_time(false, &ending(137, 10), limit));
        assert!(!was_stopped_for_time(false, &ending(137, 9), limit));
        assert!(!was_stopped_for_time(false, &ending(1, 11), limit));
        assert!(was_stopped_for_time(true, &ending(0, 10), limit));
        assert!(!was_stopped_for_time(true, &ending(0, 1), limit), "it had ended long before it was killed");
        assert!(was_stopped_for_time(true, &Ending::default(), limit));
    }

    #[test]
    fn only_an_end_that_nothing_explains_makes_one_ask_whether_the_engine_stays() {
        let told = ended(End::Died { exit_code: Some(143) }, false);
        assert!(may_be_of_an_engine_going_down(&told, &ending(Some(143), 143, 3000)));
        assert!(!may_be_of_an_engine_going_down(&told, &ending(Some(143), 143, 2005)));
        let oom = Ending { oom_killed: true, exit_code: Some(137), ..Ending::default() };
        assert!(!may_be_of_an_engine_going_down(&told, &oom));
    }
}
