//! What the completer's loop makes of what its effects report.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::warn;

use crate::metrics::CameOf;

use super::Loop;
use super::effects::{self, Report};
use super::inflight::{Action, Finding, Finish};
use super::removal::Removal;
use super::sweep::{Found, Listing};
use super::tally;
use super::tries::Reached;
use super::work::{Doing, Done};

impl Loop {
    pub(super) fn done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Reported(report) => self.apply(report, now),
            Done::Failed(failed) => {
                self.sweep.failed_if_running(now);
                self.orphans.all_looked_at();
                if let Some((ticket, doing)) = failed
                    && let Some(held) = self.held.get(&ticket)
                {
                    held.concern.about(|| warn!("this correction is tried again in a moment"));
                    // Of what was superseded meanwhile nobody waits for an answer.
                    let report = match doing {
                        Doing::Inspect => Report::Inspected(ticket, Finding::Unknown),
                        Doing::Kill => Report::Killed(ticket, false),
                        Doing::Finish => {
                            self.tries.entry(ticket).or_default().faults += 1;
                            Report::Finished(ticket, Finish::Again, Reached::Nothing, None)
                        }
                    };
                    self.apply(report, now);
                }
            }
        }
    }

    fn apply(&mut self, report: Report, now: Instant) {
        let actions = match report {
            Report::Inspected(ticket, finding) => self.inflight.inspected(ticket, &finding, now),
            Report::Killed(ticket, sent) => {
                self.inflight.kill_answered(ticket, sent, now);
                Vec::new()
            }
            Report::KillRefused(ticket) => {
                self.inflight.kill_refused(ticket, now);
                Vec::new()
            }
            Report::Here(taken) => {
                let (assignment, job) = *taken;
                self.hold(assignment, job, now);
                Vec::new()
            }
            Report::Finished(ticket, finish, reached, removal) => {
                // A record may have been forgotten meanwhile: its lock was lost.
                if finish == Finish::Again && self.held.contains_key(&ticket) {
                    self.tries.entry(ticket).or_default().note(reached, now);
                }
                self.remove(removal);
                self.inflight.finished(ticket, finish, now)
            }
            Report::Listed(Some(listed)) => self.listed(listed),
            Report::Listed(None) => {
                self.session.metrics.sweeps.of(CameOf::Failed).one();
                self.sweep.failed(now);
                Vec::new()
            }
            Report::Examined(found) => {
                self.examined(found, now);
                Vec::new()
            }
            Report::Orphan(container, reached, removal) => {
                self.orphans.looked_at(&container, reached, now);
                self.remove(removal);
                Vec::new()
            }
            Report::Nothing => Vec::new(),
        };
        self.enqueue(actions);
    }

    fn remove(&mut self, removal: Option<Removal>) {
        if let Some(removal) = removal {
            self.removals.add(removal);
        }
    }

    pub(super) fn start_sweep(&mut self) {
        self.sweep.started();
        self.work.begin(effects::list(Arc::clone(&self.session)));
    }

    fn listed(&mut self, listing: Listing) -> Vec<Action> {
        let Listing { seen, mut strangers } = listing;
        let mut actions = self.inflight.listed(&seen);
        actions.extend(self.inflight.round());
        strangers.retain(|one| !self.inflight.holds(&one.id));
        strangers.shrink_to_fit();
        self.work.begin(effects::examine(Arc::clone(&self.session), strangers));
        actions
    }

    fn examined(&mut self, found: Found, now: Instant) {
        for removal in found.removable {
            self.removals.add_found(removal);
        }
        tally::swept(self.orphans.found(found.orphans), &self.session.metrics);
        if !found.overdue.is_empty() {
            self.work.begin(effects::stop_overdue(Arc::clone(&self.session), found.overdue));
        }
        self.sweep.done(now);
    }
}
