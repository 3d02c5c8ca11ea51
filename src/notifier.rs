//! Notifier: result in `finished_corrections` → POST to its callback → done, or tried again later.

mod dead_letters;
mod outcome;
mod receivers;
mod session;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::callback::{Courier, CourierError};
use crate::config::NotifierSettings;
use crate::heartbeat;
use crate::job::FINISHED_QUEUE;
use crate::queue::{Redis, Worker, WorkerOptions};
use crate::startup::{BadSetting, wait_for};

use self::session::Session;

/// How long deliveries that are under way may take when we are asked to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Runs the notifier until it is asked to stop, and then hands back what is in flight.
///
/// # Errors
/// Redis cannot be reached in the time that the settings give, or a setting is unusable.
pub async fn run(settings: NotifierSettings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let proxies = settings.egress.proxies.clone();
    let courier =
        Courier::new(settings.timeout, settings.ca_file.as_deref(), settings.egress).map_err(unusable)?;
    let courier = courier.signing_with(settings.signing.clone());
    let redis = Redis::new(&settings.common.redis).context("Redis cannot be used")?;
    let patience = settings.common.connect_wait;
    wait_for("Redis", patience, &shutdown, || redis.ready()).await?;
    let instance =
        wait_for("Redis", patience, &shutdown, || redis.instance(settings.common.instance.as_ref())).await?;
    info!(%instance, deliveries_in_flight = settings.concurrency, "notifier: delivering results");
    if !settings.signing.is_empty() {
        info!("callbacks are signed: {}", settings.signing);
    }
    for (which, proxy) in proxies.each() {
        info!("{which} go by the proxy {proxy}");
    }
    if let Some(which) = proxies.without() {
        warn!("{which} go directly: the environment has no proxy for them");
    }
    let queue = redis.queue(FINISHED_QUEUE);
    let options = WorkerOptions {
        concurrency: settings.concurrency,
        batch: settings.concurrency,
        rate: settings.rate,
        name: "notifier".to_owned(),
    };
    let worker = Worker::start(queue.clone(), options);
    heartbeat::takes_work();
    let session = Arc::new(Session::new(
        queue.clone(),
        courier,
        settings.concurrency,
        instance,
        settings.common.retention,
    ));
    heartbeat::tell_when_asked(&session);
    tokio::join!(take_and_deliver(&session, worker, &shutdown), dead_letters::remind(&queue, &shutdown));
    Ok(())
}

fn unusable(error: CourierError) -> anyhow::Error {
    match error {
        CourierError::CaFile { .. } => BadSetting::new("CALLBACK_CA_FILE", error).into(),
        CourierError::Tls(_) => error.into(),
    }
}

async fn take_and_deliver(session: &Arc<Session>, mut worker: Worker, shutdown: &CancellationToken) {
    let mut deliveries: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(delivered) = deliveries.join_next(), if !deliveries.is_empty() => {
                if let Err(failed) = delivered {
                    error!(error = %failed, "a delivery panicked: only its result is held up");
                }
            }
            assignment = worker.next() => match assignment {
                Some(assignment) => {
                    let session = Arc::clone(session);
                    deliveries.spawn(async move { session.handle(assignment).await });
                }
                None => break,
            },
        }
    }
    worker.wind_down(deliveries, GRACE).await;
}
