//! How many containers run at once on the engine: the default, and keeping the permits true.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use crate::config::StarterSettings;
use crate::docker::{About, Listed, State};
use crate::queue::{House, Living, Reconciled};

use super::host::Bytes;
use super::services::Session;

/// How many containers share a processor where nothing else bounds them: they often wait, or have just begun.
const PER_PROCESSOR: f64 = 4.0;
/// What is left to the host of its memory: a tenth, and no less than this.
const LEFT_TO_THE_HOST: u64 = 512 << 20;
/// How often the permits are compared with the containers, and how often while all permits are out, at first.
const COMPARE_EVERY: Duration = Duration::from_secs(30);
const COMPARE_WHEN_FULL: Duration = Duration::from_secs(5);

/// How many containers may run at once on an engine, and why so many.
#[derive(Clone, Debug, PartialEq)]
pub enum MostRunning {
    /// Any number.
    NoLimit,
    /// As the setting says.
    Set(u32),
    /// So many of a container's limits fit into what the host has.
    FromHost {
        /// How many.
        most: u32,
        /// The host's processors.
        cpus: u32,
        /// The host's bytes of memory.
        memory: u64,
        /// What a container may use of either.
        container: (Option<f64>, Option<u64>),
    },
}

impl MostRunning {
    /// As it follows from the settings and from what the engine says of its host.
    #[must_use]
    pub fn of(settings: &StarterSettings, about: &About) -> Self {
        match settings.max_running {
            _ if settings.dont_start => Self::NoLimit,
            Some(0) => Self::NoLimit,
            Some(most) => Self::Set(most),
            None => {
                let base = settings.policy.base();
                Self::from_host(about.cpus, about.memory, base.cpus, base.memory)
            }
        }
    }

    fn from_host(cpus: u32, memory: u64, container_cpus: Option<f64>, container_memory: Option<u64>) -> Self {
        let room = memory.saturating_sub(LEFT_TO_THE_HOST.max(memory / 10));
        let by_memory = container_memory.filter(|_| memory > 0).map(|each| room / each.max(1));
        let each = container_cpus.unwrap_or(1.0).max(0.01);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounded down, never negative"
        )]
        let by_cpus = (cpus > 0).then(|| (f64::from(cpus) * PER_PROCESSOR / each) as u64);
        match by_memory.into_iter().chain(by_cpus).min() {
            None => Self::NoLimit,
            Some(most) => Self::FromHost {
                most: u32::try_from(most.max(1)).unwrap_or(u32::MAX),
                cpus,
                memory,
                container: (container_cpus, container_memory),
            },
        }
    }

    /// The number, if there is a limit.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::NoLimit => None,
            Self::Set(most) | Self::FromHost { most, .. } => Some(*most),
        }
    }
}

impl fmt::Display for MostRunning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLimit => formatter.write_str("any number of containers may run at once"),
            Self::Set(most) => write!(formatter, "at most {most} containers run at once (MAX_RUNNING)"),
            Self::FromHost { most, cpus, memory, container } => {
                write!(
                    formatter,
                    "at most {most} containers run at once (from the host's {cpus} processors and {}; of each a \
                     container may use {} and {}; MAX_RUNNING sets another number)",
                    Bytes(*memory),
                    container.0.map_or_else(|| "any number".to_owned(), |cpus| format!("{cpus}")),
                    container.1.map_or_else(|| "any amount".to_owned(), |memory| Bytes(memory).to_string()),
                )
            }
        }
    }
}

/// When permits were compared with containers, and those of which rules are to be.
#[derive(Debug, Default)]
pub struct Comparing(Mutex<Compared>);

#[derive(Debug, Default)]
struct Compared {
    rules: BTreeSet<String>,
    last: Option<Instant>,
    /// How often in a row nothing was found while all permits were out.
    in_vain: u32,
}

impl Comparing {
    /// Permits of a rule are used.
    pub fn note_rule(&self, rule: &str) {
        let mut compared = self.lock();
        if !compared.rules.contains(rule) {
            compared.rules.insert(rule.to_owned());
        }
    }

    fn is_due(&self, is_full: bool, now: Instant) -> bool {
        let compared = self.lock();
        let when_full = COMPARE_WHEN_FULL.saturating_mul(1 << compared.in_vain.min(3)).min(COMPARE_EVERY);
        let every = if is_full { when_full } else { COMPARE_EVERY };
        compared.last.is_none_or(|last| now - last >= every)
    }

    fn note(&self, found: Reconciled, is_full: bool, now: Instant) {
        let mut compared = self.lock();
        compared.last = Some(now);
        let vain = is_full && found.dropped == 0;
        compared.in_vain = if vain { compared.in_vain.saturating_add(1) } else { 0 };
    }

    fn rules(&self) -> Vec<String> {
        self.lock().rules.iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Compared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Where containers are counted, if they are.
    #[must_use]
    pub fn house(&self) -> Option<House> {
        let most = self.most_running.number()?;
        Some(House { engine: self.whereabouts.now().1, most })
    }

    /// Compares the permits with the engine's containers, where it is time to: what a person removed, what other
    /// programs ended, what Redis forgot.
    pub async fn keep_permits_true(&self) {
        let house = self.house();
        let rules = self.comparing.rules();
        if house.is_none() && rules.is_empty() {
            return;
        }
        if let Err(error) = self.compare_permits(house.as_ref(), &rules).await {
            debug!(error = format!("{error:#}"), "permits could not be compared with the containers now");
        }
    }

    async fn compare_permits(&self, house: Option<&House>, rules: &[String]) -> anyhow::Result<()> {
        let (instance, engine) = self.whereabouts.now();
        let is_full = match house {
            Some(house) => {
                let used = self.redis.permits(&engine).await?;
                self.metrics.permits_used.count(used);
                used >= u64::from(house.most)
            }
            None => false,
        };
        if !self.comparing.is_due(is_full, Instant::now()) {
            return Ok(());
        }
        let living = self.engine.list(&instance, living).await?;
        let mut all = Reconciled::default();
        if house.is_some() {
            all = self.redis.reconcile(&engine, &living).await?;
        }
        for rule in rules {
            let Reconciled { dropped, added } = self.redis.reconcile_rule(&engine, rule, &living).await?;
            all = Reconciled { dropped: all.dropped + dropped, added: all.added + added };
        }
        self.comparing.note(all, is_full, Instant::now());
        if all != Reconciled::default() {
            info!(
                dropped = all.dropped,
                added = all.added,
                "permits to run did not agree with the containers that run, and do now"
            );
        }
        Ok(())
    }
}

/// A container that runs, of what a list tells.
fn living(listed: Listed) -> Option<Living> {
    let runs = matches!(listed.state, State::Running | State::Paused | State::Restarting);
    let labels = listed.labels.filter(|_| runs)?;
    Some(Living { correction: labels.correction, job: labels.job })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn number(cpus: u32, memory: u64, container_cpus: f64, container_memory: u64) -> Option<u32> {
        let some = |amount: u64| Some(amount).filter(|amount| *amount > 0);
        let container_cpus = Some(container_cpus).filter(|cpus| *cpus > 0.0);
        MostRunning::from_host(cpus, memory, container_cpus, some(container_memory)).number()
    }

    #[test]
    fn the_default_is_what_fits_into_the_memory_and_no_more_than_the_processors_bear() {
        for (cpus, memory, container_cpus, container_memory, most) in [
            (2, 8 * GIB, 1.0, GIB, Some(7)),
            (2, 24 * GIB, 1.0, GIB, Some(8)),
            (64, 256 * GIB, 1.0, GIB, Some(230)),
            (64, 256 * GIB, 8.0, GIB, Some(32)),
            (2, 8 * GIB, 0.5, 256 << 20, Some(16)),
            (1, GIB, 1.0, GIB, Some(1)),
            (4, 8 * GIB, 0.0, 0, Some(16)),
            (0, 8 * GIB, 1.0, GIB, Some(7)),
            (4, 0, 1.0, GIB, Some(16)),
            (0, 0, 1.0, GIB, None),
        ] {
            assert_eq!(number(cpus, memory, container_cpus, container_memory), most, "{cpus} {memory}");
        }
    }

    #[test]
    fn the_default_is_told_with_its_numbers() {
        let told = MostRunning::from_host(2, 24 * GIB, Some(1.0), Some(GIB)).to_string();
        for part in ["at most 8", "2 processors and 24.0 GiB", "use 1 and 1.0 GiB", "MAX_RUNNING"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn permits_are_compared_more_often_while_all_are_out_and_less_where_that_is_in_vain() {
        let comparing = Comparing::default();
        let nothing = Reconciled::default();
        let mut gaps = Vec::new();
        for _ in 0..6 {
            let begun = Instant::now();
            while !comparing.is_due(true, Instant::now()) {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            gaps.push(begun.elapsed().as_secs());
            comparing.note(nothing, true, Instant::now());
        }
        assert_eq!(gaps, [0, 10, 20, 30, 30, 30]);
        comparing.note(Reconciled { dropped: 1, added: 0 }, true, Instant::now());
        tokio::time::advance(COMPARE_WHEN_FULL).await;
        assert!(comparing.is_due(true, Instant::now()) && !comparing.is_due(false, Instant::now()));
    }
}
