//! How many receivers there are by how they answer, and how many deliveries are under way, for whoever counts.

use std::sync::TryLockError;

use crate::metrics::{Metrics, Place, ReceiverState};

use super::{Receivers, Standing};

impl Receivers {
    /// Tells the numbers; where somebody holds them just now, they stay as they were.
    pub fn tell(&self, metrics: &Metrics) {
        let state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        for (shown, standing) in [
            (ReceiverState::New, Standing::New),
            (ReceiverState::Answering, Standing::Answers),
            (ReceiverState::Hanging, Standing::Hangs),
        ] {
            let number = state.known.values().filter(|receiver| receiver.standing == standing).count();
            metrics.receivers.of(shown).count(number as u64);
        }
        let in_slots: usize = state.known.values().map(|receiver| receiver.in_slots).sum();
        metrics.deliveries.of(Place::Slot).count(in_slots as u64);
        metrics.deliveries.of(Place::Aside).count(state.aside as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::notifier::receivers::Ended;

    #[tokio::test]
    async fn receivers_are_counted_by_how_they_answered_and_deliveries_by_where_they_are() {
        let (receivers, metrics) = (Receivers::new(8), Metrics::default());
        let answered = receivers.turn("good:80").await.expect("a turn");
        answered.learn(Ended::Answered, Duration::from_millis(1));
        drop(answered);
        let hung = receivers.turn("bad:80").await.expect("a turn");
        hung.learn(Ended::Hung, Duration::from_secs(60));
        let under_way = receivers.turn("good:80").await.expect("a turn");
        receivers.tell(&metrics);
        let of = |state| metrics.receivers.of(state).get();
        assert_eq!(of(ReceiverState::Answering), Some(1.0));
        assert_eq!(of(ReceiverState::Hanging), Some(1.0));
        assert_eq!(of(ReceiverState::New), Some(0.0));
        assert_eq!(metrics.deliveries.of(Place::Slot).get(), Some(2.0));
        drop((hung, under_way));
        receivers.tell(&metrics);
        assert_eq!(metrics.deliveries.of(Place::Slot).get(), Some(0.0));
    }
}
