//! Starter: pending job → container started → job in `running_corrections`.

mod admission;
mod cancelling;
mod chores;
mod compose;
mod gate;
mod host;
mod image_use;
mod images;
mod launch;
mod place;
mod refusal;
mod reload;
mod secret;
mod services;
mod session;
pub mod single;
mod submission;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::backoff::Backoff;
use crate::config::StarterSettings;
use crate::docker::Engine;
use crate::heartbeat;
use crate::queue::{Redis, Worker, WorkerOptions};
use crate::reload::HangUps;
use crate::startup::wait_for;

use self::chores::{Chore, do_chores, keep_permits, look_at_host, watch_host};
use self::images::Call;
use self::services::Session;
use self::session::Handled;

/// How long starts that are under way may take when we are asked to stop.
const GRACE: Duration = Duration::from_secs(3);
/// How often the installation's and the engine's ids are read again: the keys may have been reset, and
/// another engine may answer at the same address.
const IDENTITY_AGE: Duration = Duration::from_secs(10);
/// The first and the longest wait between two tries to reach an engine that went away.
const PROBE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Runs the starter until it is asked to stop, and then hands back what is in flight.
///
/// # Errors
/// Redis or Docker cannot be reached in the time that the settings give, or a setting is unusable.
pub async fn run(settings: StarterSettings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let hang_ups = settings.policy.file().map(|_| HangUps::taken()).transpose()?;
    let redis = Redis::new(&settings.common.redis).context("Redis cannot be used")?;
    let engine = Engine::new(&settings.docker).context("Docker cannot be used")?;
    let patience = settings.common.connect_wait;
    wait_for("Redis", patience, &shutdown, || redis.ready()).await?;
    let about = wait_for("Docker", patience, &shutdown, || engine.about()).await?;
    let mut told = reload::Told::default();
    reload::check(&settings.policy, &about, &mut told)?;
    let instance =
        wait_for("Redis", patience, &shutdown, || redis.instance(settings.common.instance.as_ref())).await?;
    info!(%instance, engine = %about.id, starts_in_flight = settings.concurrency,
        dont_start = settings.dont_start, "starter: taking submissions");
    let concurrency = settings.concurrency;
    let options =
        WorkerOptions { concurrency, batch: concurrency, rate: settings.rate, name: "starter".to_owned() };
    let (session, to_do) = Session::new(redis, engine, about, instance, settings);
    let session = Arc::new(session);
    info!(max_running = session.most_running.number(), "starter: {}", session.most_running);
    heartbeat::tell_when_asked(&session);
    session.metrics.starts_paused.flag(false);
    session
        .most_running
        .number()
        .into_iter()
        .for_each(|most| session.metrics.permits_limit.count(most.into()));
    // Before anything is started: containers may run of which Redis forgot.
    let short = watch::Sender::new(false);
    shutdown
        .run_until_cancelled(async {
            session.keep_permits_true().await;
            look_at_host(&session, &short).await;
        })
        .await;
    let is_short = short.subscribe();
    let paused = *is_short.borrow();
    let _reloading = hang_ups.map(|hang_ups| reload::follow(&session, hang_ups, told));
    let worker = Worker::start_for(session.pending.clone(), options, session.house(), paused);
    let named = |what: &str| format!("starter: {what}");
    let stop = CancellationToken::new();
    let beside = [
        heartbeat::spawn(&named("chores"), &stop, do_chores(Arc::clone(&session), to_do)),
        heartbeat::spawn(&named("watching the host"), &stop, watch_host(Arc::clone(&session), short)),
        heartbeat::spawn(&named("comparing permits"), &stop, keep_permits(Arc::clone(&session))),
    ];
    heartbeat::takes_work();
    take_and_start(&session, worker, is_short, &shutdown).await;
    stop.cancel();
    drop(beside);
    Ok(())
}

async fn take_and_start(
    session: &Arc<Session>,
    mut worker: Worker,
    mut is_short: watch::Receiver<bool>,
    shutdown: &CancellationToken,
) {
    let mut starts: JoinSet<Handled> = JoinSet::new();
    let mut probe: JoinSet<()> = JoinSet::new();
    let mut refresh: JoinSet<()> = JoinSet::new();
    heartbeat::beats_every(IDENTITY_AGE);
    let mut identity = interval(IDENTITY_AGE);
    identity.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(handled) = starts.join_next(), if !starts.is_empty() => match handled {
                Ok(Handled::EngineAway) if probe.is_empty() => {
                    warn!("the Docker engine is away: no submission is taken until it is back");
                    worker.pause();
                    session.metrics.starts_paused.flag(true);
                    probe.spawn(until_back(Arc::clone(session)));
                }
                Ok(_) => {}
                Err(failed) => error!(error = %failed, "a start panicked: only its submission is held up"),
            },
            Some(_) = probe.join_next(), if !probe.is_empty() => {
                info!("the Docker engine is back");
                session.metrics.starts_paused.flag(false);
                if !*is_short.borrow() {
                    worker.resume();
                }
            }
            // Its sender lives for as long as the process watches the host.
            Ok(()) = is_short.changed() => {
                if *is_short.borrow_and_update() {
                    worker.pause();
                } else if probe.is_empty() {
                    worker.resume();
                }
            }
            assignment = worker.next() => match assignment {
                Some(assignment) => {
                    let session = Arc::clone(session);
                    starts.spawn(async move { session.handle(assignment).await });
                }
                None => break,
            },
            _ = identity.tick() => {
                // One that takes long is not repeated beside itself.
                if refresh.is_empty() {
                    let session = Arc::clone(session);
                    refresh.spawn(async move { session.refresh_identity().await });
                }
            }
            Some(_) = refresh.join_next(), if !refresh.is_empty() => worker.move_to(session.house()),
        }
    }
    worker.wind_down(starts, GRACE).await;
}

/// Waits until the engine answers again.
async fn until_back(session: Arc<Session>) {
    let mut backoff = Backoff::new(PROBE.0, PROBE.1);
    loop {
        match session.engine.about().await {
            Ok(about) => {
                session.whereabouts.set_engine(about.id);
                session.host.set_root(about.root);
                // Where it answers at once, it was perhaps not away, and what hung was an image's start.
                if backoff.failures() > 0 {
                    let waited_for = session.images().forgive();
                    for image in waited_for {
                        session.do_beside(Chore::CallBack(image, Call::All));
                    }
                }
                return;
            }
            Err(_) => tokio::time::sleep(backoff.next_delay()).await,
        }
    }
}
