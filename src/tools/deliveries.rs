//! `deliveries`: what became of results, and delivering them anew, for a person and for scripts.

mod list;
mod redeliver;
mod show;
mod view;

use std::io;

use super::Answer;
use super::terminal::Terminal;
use crate::config::{Deliveries, DeliveriesOrder};
use crate::identity::InstanceId;
use crate::job::FINISHED_QUEUE;
use crate::queue::{Counts, Queue, QueueError, Redis};

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
enum DeliveriesError {
    /// Redis is not there, or refused.
    #[error("{0}")]
    Redis(#[from] QueueError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// The answer cannot be written.
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Does what is ordered.
pub(super) fn run(deliveries: Deliveries, out: &mut Terminal<'_>) -> io::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(carry_out(deliveries, out)) {
        Ok(answer) => Ok(answer),
        Err(DeliveriesError::Output(error)) => Err(error),
        Err(DeliveriesError::Senseless(why) | DeliveriesError::Redis(QueueError::BadSettings(why))) => {
            Ok(Answer::Senseless(why))
        }
        Err(DeliveriesError::Redis(error)) => Ok(Answer::Unreachable(error.to_string())),
    }
}

async fn carry_out(deliveries: Deliveries, out: &mut Terminal<'_>) -> Result<Answer, DeliveriesError> {
    let Deliveries { order, redis, instance } = deliveries;
    let settings =
        redis.ok_or_else(|| DeliveriesError::Senseless("there are no settings of Redis".into()))?;
    let redis = Redis::new(&settings)?;
    redis.ready().await?;
    // Without one no correction was ever made here, and an id of nobody's does as well.
    let instance = redis.instance_as_it_is(instance.as_ref()).await?;
    let instance = instance.unwrap_or_else(|| InstanceId::new(uuid::Uuid::new_v4().to_string()));
    let place = Place { queue: redis.queue(FINISHED_QUEUE), instance };
    match order {
        DeliveriesOrder::List(order) => list::list(&place, &order, out).await,
        DeliveriesOrder::Show(order) => show::show(&place, &order, out).await,
        DeliveriesOrder::Redeliver(order) => redeliver::redeliver(&place, &order, out).await,
    }
}

/// Where deliveries stand.
struct Place {
    queue: Queue,
    instance: InstanceId,
}

/// How many deliveries are in which state, in words.
fn in_words(counts: &Counts) -> String {
    format!(
        "{} dead letter{}; {} wait for their next attempt, {} in line, {} being delivered; {} delivered and still kept",
        counts.failed,
        if counts.failed == 1 { "" } else { "s" },
        counts.delayed,
        counts.waiting + counts.prioritized,
        counts.active,
        counts.completed
    )
}

/// The same for a program.
fn as_json(counts: &Counts) -> serde_json::Value {
    serde_json::json!({
        "dead": counts.failed,
        "delayed": counts.delayed,
        "waiting": counts.waiting + counts.prioritized,
        "active": counts.active,
        "delivered": counts.completed,
        "paused": counts.paused,
    })
}
