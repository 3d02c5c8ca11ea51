//! How long to wait before trying again: exponential, with full jitter.

use std::time::Duration;

/// The waits between tries of something that failed and may heal.
///
/// The n-th wait is a random time between nothing and `base * 2^n`, and never more than `cap` ("full
/// jitter"), so that many clients which lost the same service do not all come back in the same instant.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    random: fastrand::Rng,
}

impl Backoff {
    /// Waits of up to `base`, twice that, four times that and so on, up to `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self::with_randomness(base, cap, fastrand::Rng::new())
    }

    /// The same with a given source of randomness, so that a test can know the waits.
    #[must_use]
    pub fn with_randomness(base: Duration, cap: Duration, random: fastrand::Rng) -> Self {
        Self { base, cap, failures: 0, random }
    }

    /// The wait after one more failure.
    #[must_use = "the wait has to be waited"]
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        let most = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.u64(0..=most))
    }

    /// The longest that the next wait can be.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        let factor = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// How many waits were given since the last [`Backoff::reset`].
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It works again: the next wait is a short one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: Duration = Duration::from_millis(50);
    const CAP: Duration = Duration::from_secs(5);

    #[test]
    fn the_ceiling_doubles_with_each_failure_up_to_the_cap() {
        let mut backoff = Backoff::new(BASE, CAP);
        let mut ceilings = Vec::new();
        for _ in 0..9 {
            ceilings.push(backoff.ceiling().as_millis());
            let _ = backoff.next_delay();
        }
        assert_eq!(ceilings, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.failures(), 9);
    }

    #[test]
    fn the_waits_are_short_again_after_a_reset() {
        let mut backoff = Backoff::new(BASE, CAP);
        for _ in 0..40 {
            let _ = backoff.next_delay();
        }
        assert_eq!(backoff.ceiling(), CAP);
        backoff.reset();
        assert_eq!(backoff.ceiling(), BASE);
        assert_eq!(backoff.failures(), 0);
    }

    #[test]
    fn the_waits_of_many_clients_are_spread_over_the_whole_range() {
        let mut waits: Vec<Duration> = (0..200)
            .map(|seed| Backoff::with_randomness(BASE, CAP, fastrand::Rng::with_seed(seed)).next_delay())
            .collect();
        waits.sort();
        assert!(waits[20] < BASE / 4, "the shortest tenth reaches up to {:?}", waits[20]);
        assert!(waits[179] > BASE / 4 * 3, "the longest tenth begins at {:?}", waits[179]);
        waits.dedup();
        assert!(waits.len() > 190, "only {} different waits of 200", waits.len());
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_its_ceiling_nor_the_cap_whatever_the_numbers(
            base: u64, cap: u64, seed: u64, tries in 1_u32..80,
        ) {
            let (base, cap) = (Duration::from_nanos(base), Duration::from_millis(cap));
            let mut backoff = Backoff::with_randomness(base, cap, fastrand::Rng::with_seed(seed));
            for _ in 0..tries {
                let ceiling = backoff.ceiling();
                prop_assert!(ceiling <= cap);
                prop_assert!(backoff.next_delay() <= ceiling);
            }
        }
    }
}
