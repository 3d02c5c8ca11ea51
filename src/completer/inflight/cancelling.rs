//! A correction that a person cancelled: its container is ended as one whose time is up.

use super::{Action, Inflight, Phase, Ticket};

impl Inflight {
    /// A record's job is marked as cancelled.
    pub fn cancelled(&mut self, ticket: Ticket) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(record) = self.records.get_mut(&ticket) else { return actions };
        if std::mem::replace(&mut record.cancelled, true) {
            return actions;
        }
        match record.phase {
            // Looked at first: one that was never started cannot be killed.
            Phase::Watching => self.inspect(ticket, &mut actions),
            // What is under way shows how it is; then it is killed, or has ended.
            Phase::Inspecting { .. } | Phase::Killing | Phase::Finishing => {}
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::completer::inflight::{End, Finding, Finish, KILL_PATIENCE};
    use crate::identity::ContainerId;

    const RUNNING: Finding = Finding::Running { run_for: Duration::from_secs(1) };

    fn held(look: bool) -> (Inflight, ContainerId, Instant) {
        let (mut inflight, container, now) = (Inflight::default(), ContainerId::new("c"), Instant::now());
        inflight.taken(Ticket(1), &container, None, look, now);
        (inflight, container, now)
    }

    fn finish(container: &ContainerId, end: End) -> Vec<Action> {
        vec![Action::Finish { ticket: Ticket(1), container: container.clone(), end, timed_out: false }]
    }

    #[test]
    fn a_running_container_is_killed_once_and_not_for_its_time() {
        let (mut inflight, container, now) = held(false);
        assert_eq!(inflight.cancelled(Ticket(1)), [Action::Inspect(Ticket(1), container.clone())]);
        assert_eq!(inflight.cancelled(Ticket(1)), [], "told twice");
        let killed = inflight.inspected(Ticket(1), &RUNNING, now);
        assert_eq!(killed, [Action::Kill(Ticket(1), container.clone())]);
        inflight.kill_answered(Ticket(1), true, now);
        let died = End::Died { exit_code: Some(137) };
        assert_eq!(inflight.died(&container, Some(137), true, now), finish(&container, died));
    }

    #[test]
    fn one_that_was_never_started_is_finished() {
        let (mut inflight, container, now) = held(false);
        inflight.cancelled(Ticket(1));
        assert_eq!(inflight.inspected(Ticket(1), &Finding::Waiting, now), finish(&container, End::Found));
    }

    #[test]
    fn a_mark_that_comes_while_it_is_looked_at_is_heeded_by_the_answer() {
        let (mut inflight, container, now) = held(true);
        assert_eq!(inflight.cancelled(Ticket(1)), []);
        assert_eq!(inflight.inspected(Ticket(1), &RUNNING, now), [Action::Kill(Ticket(1), container)]);
    }

    #[test]
    fn an_engine_that_gives_no_answer_is_asked_again_and_one_that_will_not_kill_not_for_ever() {
        let (mut inflight, container, mut now) = held(false);
        inflight.cancelled(Ticket(1));
        assert_eq!(inflight.inspected(Ticket(1), &Finding::Unknown, now), []);
        now = inflight.next_timer().expect("a second look");
        assert_eq!(inflight.tick(now), [Action::Inspect(Ticket(1), container.clone())]);
        inflight.inspected(Ticket(1), &RUNNING, now);
        inflight.kill_refused(Ticket(1), now);
        now += KILL_PATIENCE;
        inflight.tick(now);
        assert_eq!(inflight.inspected(Ticket(1), &RUNNING, now), finish(&container, End::Unstoppable));
    }

    #[test]
    fn what_has_ended_is_finished_as_it_is() {
        let (mut inflight, container, now) = held(false);
        let died = End::Died { exit_code: Some(0) };
        assert_eq!(inflight.died(&container, Some(0), true, now), finish(&container, died));
        assert_eq!(inflight.cancelled(Ticket(1)), []);
        assert_eq!(inflight.finished(Ticket(1), Finish::Settled, now), [Action::Forget(Ticket(1))]);
        assert_eq!(inflight.cancelled(Ticket(1)), [], "nobody holds it any more");
    }
}
