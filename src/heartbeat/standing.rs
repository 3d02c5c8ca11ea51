//! How far each component of the process has come: whether it still waits for a service, or takes work.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::{HEARTS, Hearts, PULSE, Vital};

/// How far a component has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes no work yet, since it waits for what the words say.
    Waiting(String),
    /// It has all that it needs and takes work.
    Taking,
}

/// The components that have said how far they are, by name.
pub type Standings = BTreeMap<String, Standing>;

impl Hearts {
    /// How far each component is, and each change of it. One that has said nothing yet is missing.
    #[must_use]
    pub fn standings(&self) -> watch::Receiver<Standings> {
        self.inner.standings.subscribe()
    }

    /// How many jobs this process holds.
    #[must_use]
    pub fn jobs_in_hand(&self) -> u64 {
        self.inner.gauges.sum_of(|vital| matches!(vital, Vital::Held(_)))
    }

    fn stands(&self, name: &str, standing: &Standing) {
        self.inner.standings.send_if_modified(|all| {
            let before = all.insert(name.to_owned(), standing.clone());
            before.as_ref() != Some(standing)
        });
    }
}

/// The component that calls this waits for something, such as Redis, before it takes work. The words hold no secret.
pub fn takes_no_work_yet(why: impl Into<String>) {
    say(&Standing::Waiting(why.into()));
}

/// The component that calls this takes work from now on.
pub fn takes_work() {
    say(&Standing::Taking);
}

fn say(standing: &Standing) {
    let _ = HEARTS.try_with(|hearts| PULSE.try_with(|pulse| hearts.stands(pulse.name(), standing)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_component_says_how_far_it_is_and_a_repetition_wakes_nobody() {
        let hearts = Hearts::default();
        let mut standings = hearts.standings();
        assert!(standings.borrow_and_update().is_empty());
        let waiting = Standing::Waiting("waiting for Redis".to_owned());
        hearts.loop_of("starter", async { takes_no_work_yet("waiting for Redis") }).await;
        assert_eq!(standings.borrow_and_update().get("starter"), Some(&waiting));
        hearts.loop_of("starter", async { takes_no_work_yet("waiting for Redis") }).await;
        assert!(!standings.has_changed().expect("the hearts live"));
        hearts.loop_of("completer", async { takes_work() }).await;
        assert!(standings.has_changed().expect("the hearts live"));
        let all = standings.borrow_and_update().clone();
        assert_eq!((&all["starter"], &all["completer"]), (&waiting, &Standing::Taking));
    }

    #[test]
    fn outside_of_a_process_that_watches_it_is_said_to_nobody() {
        takes_work();
        takes_no_work_yet("waiting");
    }
}
