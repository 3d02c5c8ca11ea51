//! One container watched to its end for whoever has no queue: the completer's state machine and effects, over a
//! single record.
//!
//! What differs: nobody else could go on with it, so an engine that stays away is told after half a minute; and a
//! correction that the Docker host failed is not run again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::docker::{Call, Engine, EngineError, Notice, Watch};
use crate::identity::{ContainerId, EngineId, InstanceId, Whereabouts};
use crate::seal::Seal;

use super::collect::{Attempt, Ended, known_of};
use super::effects::{finding, kill};
use super::inflight::{Action, End, Finding, Finish, Inflight, Ticket};
use super::losses::{removed, vanished};
use super::scene::Scene;
use super::sealing::Sealing;
use super::session::Outages;
use super::tries::Tries;
use super::witness::Witness;
use super::{disks, far_away};

pub use super::collect::Known;

/// How often it is looked whether the container still runs, whatever the events say.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the engine may be away.
const PATIENCE: Duration = Duration::from_secs(30);
/// There is but one.
const TICKET: Ticket = Ticket(1);

/// The engine of one container, its events being followed.
pub struct Single {
    engine: Engine,
    output_limit: u64,
    outages: Outages,
    witness: Witness,
    whereabouts: Whereabouts,
    watch: Watch,
    stop: CancellationToken,
}

/// A container that was started.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Its id.
    pub container: ContainerId,
    /// How long it may run; `None` = for ever.
    pub timeout: Option<Duration>,
    /// Without it its verdict does not count; `None` = whatever it prints counts.
    pub seal: Option<Seal>,
}

/// What came of an effect.
enum Came {
    Inspected(Finding),
    Killed(bool),
    KillRefused,
    Finished(Box<Attempt<Known>>, End),
}

/// An effect's report, and the error where the engine was away.
type Report = (Came, Option<EngineError>);

impl Single {
    /// Begins to follow the engine's events. What dies from then on is known, however late it is asked for.
    ///
    /// # Errors
    /// The system grants no thread for it.
    pub fn begin(
        engine: &Engine,
        engine_id: EngineId,
        instance: InstanceId,
        output_limit: u64,
    ) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        Ok(Self {
            engine: engine.clone(),
            output_limit,
            outages: Outages::default(),
            witness: Witness::default(),
            whereabouts: Whereabouts::new(instance, engine_id),
            watch: Watch::start(engine, &stop)?,
            stop,
        })
    }

    /// Waits until the events come: how a container ended before that nobody could tell for certain.
    ///
    /// # Errors
    /// They do not come.
    pub async fn ready(&self) -> Result<(), EngineError> {
        let open = async {
            loop {
                if let Notice::Resync { .. } = self.watch.next().await {
                    return self.outages.watching(self.engine.now());
                }
            }
        };
        timeout(PATIENCE, open)
            .await
            .map_err(|_| EngineError::Timeout { call: Call::Events, after: PATIENCE })
    }

    /// Watches a container to its end, kills it when its time is up or its disk full, and reads what it wrote.
    ///
    /// # Errors
    /// The engine stays away, or another one answers.
    pub async fn known_end_of(&self, charge: &Charge) -> Result<Known, EngineError> {
        let begun = self.engine.now();
        let mut record = Record::new(charge);
        let mut disk = Box::pin(disks::watch_one(self.scene(), &charge.container).fuse());
        let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut effects: FuturesUnordered<BoxFuture<'_, Report>> = FuturesUnordered::new();
        loop {
            while let Some(action) = record.waiting.pop_front() {
                effects.extend(self.effect(charge, action, record.tries));
            }
            let timer = record.inflight.next_timer().unwrap_or_else(far_away);
            tokio::select! {
                Some((came, error)) = effects.next(), if !effects.is_empty() => {
                    if let Some(known) = record.came(came, error, self, begun)? {
                        return Ok(known);
                    }
                }
                notice = self.watch.next() => self.noticed(notice, &charge.container, &mut record),
                () = sleep_until(timer) => {
                    let actions = record.inflight.tick(Instant::now());
                    record.waiting.extend(actions);
                }
                // As a list of the engine that does not have it: it is looked at.
                _ = looks.tick() => record.waiting.extend(record.inflight.listed(&HashMap::new())),
                () = &mut disk => {}
            }
        }
    }

    /// Ends the reading of events.
    pub async fn close(self) {
        self.stop.cancel();
        self.watch.close().await;
    }

    fn scene(&self) -> Scene<'_> {
        let Self { engine, outages, witness, whereabouts, output_limit, .. } = self;
        Scene { engine, output_limit: *output_limit, outages, witness, whereabouts }
    }

    fn noticed(&self, notice: Notice, ours: &ContainerId, record: &mut Record) {
        let actions = match notice {
            Notice::Resync { outage } => {
                self.outages.watching(self.engine.now());
                if let Some(outage) = outage {
                    self.outages.end(outage);
                }
                record.inflight.listed(&HashMap::new())
            }
            Notice::Broken { from } => {
                self.outages.begin(from);
                Vec::new()
            }
            Notice::Died { container, exit_code, .. } if container == *ours => {
                record.inflight.died(&container, exit_code, true, Instant::now())
            }
            Notice::Oom { container } if container == *ours => {
                self.witness.saw_oom(&container);
                Vec::new()
            }
            Notice::Destroyed { container } if container == *ours => record.inflight.destroyed(&container),
            Notice::Died { .. } | Notice::Oom { .. } | Notice::Destroyed { .. } => Vec::new(),
        };
        record.waiting.extend(actions);
    }

    fn effect<'a>(
        &'a self,
        charge: &'a Charge,
        action: Action,
        tries: Tries,
    ) -> Option<BoxFuture<'a, Report>> {
        let scene = self.scene();
        Some(match action {
            Action::Inspect(_, container) => async move {
                match scene.engine.inspect(container.as_str()).await {
                    Ok(None) => (Came::Inspected(Finding::Gone), None),
                    Ok(Some(inspected)) => (Came::Inspected(finding(scene.engine, &inspected)), None),
                    Err(error) => (Came::Inspected(Finding::Unknown), Some(error)),
                }
            }
            .boxed(),
            Action::Kill(_, container) => async move {
                match kill(scene, &container).await {
                    Ok(sent) => (Came::Killed(sent), None),
                    Err(error) if error.is_away() => (Came::Killed(false), Some(error)),
                    Err(_) => (Came::KillRefused, None),
                }
            }
            .boxed(),
            Action::Finish { container, end, timed_out, .. } => async move {
                let ended = Ended { container, end: end.clone(), timed_out, timeout: charge.timeout, tries };
                let (engine, sealing) = (self.whereabouts.now().1, Sealing::Known(charge.seal.clone()));
                let attempt = known_of(scene, &ended, Some(&engine), &sealing).await;
                let error = attempt.result.as_ref().err().cloned();
                (Came::Finished(Box::new(attempt), end), error)
            }
            .boxed(),
            Action::Forget(_) => return None,
        })
    }
}

/// What is known of the one container.
struct Record {
    inflight: Inflight,
    waiting: VecDeque<Action>,
    tries: Tries,
    away_since: Option<Instant>,
}

impl Record {
    fn new(charge: &Charge) -> Self {
        let mut inflight = Inflight::default();
        let now = Instant::now();
        let waiting = inflight.taken(TICKET, &charge.container, charge.timeout, false, now).into();
        Self { inflight, waiting, tries: Tries::default(), away_since: None }
    }

    /// An effect reported. Gives what is known of the container's end once it is.
    fn came(
        &mut self,
        came: Came,
        error: Option<EngineError>,
        single: &Single,
        begun: jiff::Timestamp,
    ) -> Result<Option<Known>, EngineError> {
        let now = Instant::now();
        match error {
            Some(error @ EngineError::Exchanged { .. }) => return Err(error),
            Some(error) => {
                let since = *self.away_since.get_or_insert(now);
                if now - since >= PATIENCE {
                    return Err(error);
                }
            }
            None => self.away_since = None,
        }
        let actions = match came {
            Came::Inspected(finding) => self.inflight.inspected(TICKET, &finding, now),
            Came::Killed(sent) => {
                self.inflight.kill_answered(TICKET, sent, now);
                Vec::new()
            }
            Came::KillRefused => {
                self.inflight.kill_refused(TICKET, now);
                Vec::new()
            }
            Came::Finished(attempt, end) => {
                let Attempt { result, reached } = *attempt;
                match result {
                    Ok(Some(known)) => return Ok(Some(known)),
                    Ok(None) => {
                        let watched = end != End::Gone || single.outages.is_watched_from(begun);
                        return Ok(Some(if watched { removed() } else { vanished() }.into()));
                    }
                    Err(_) => {
                        self.tries.note(reached, now);
                        self.inflight.finished(TICKET, Finish::Again, now)
                    }
                }
            }
        };
        self.waiting.extend(actions);
        Ok(None)
    }
}
