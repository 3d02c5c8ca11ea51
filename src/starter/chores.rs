//! What a starter does beside the starts: pulls, calling back what was put aside, watching the host and the permits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, error, info, warn};

use crate::crash_points::{Point, pass};
use crate::heartbeat::{self, bounded};
use crate::metrics::{Label, Resource};

use super::host::Shortage;
use super::image_use;
use super::images::{Call, Pulled};
use super::refusal::{Meaning, meaning};
use super::services::Session;

/// How often the host is looked at, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_FOR: Duration = Duration::from_secs(5);
/// How often it is asked whether the permits are to be compared with the containers.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// Something to do beside the starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Chore {
    /// Pull an image, and tell those who wait for it.
    Pull(String),
    /// Call back what waits for an image.
    CallBack(String, Call),
}

/// Does chores, each in a task of its own, until it is stopped.
pub async fn do_chores(session: Arc<Session>, mut to_do: mpsc::UnboundedReceiver<Chore>) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            chore = to_do.recv() => match chore {
                Some(Chore::Pull(image)) => {
                    under_way.spawn(pull(Arc::clone(&session), image));
                }
                Some(Chore::CallBack(image, call)) => {
                    under_way.spawn(call_back(Arc::clone(&session), image, call));
                }
                None => return,
            },
            Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                if let Err(failed) = done {
                    error!(error = %failed, "something beside the starts panicked");
                }
            }
        }
    }
}

/// Pulls an image; whoever waits for it waits aside.
async fn pull(session: Arc<Session>, image: String) {
    // Told even where this task panics or is given up.
    let mut ending = Ending { session: &session, image: &image, pulled: Pulled::GivenUp };
    debug!(image, "the image is not here: pulling it");
    let pulled = bounded(async {
        let pulled = session.engine.pull(&image).await;
        if pulled.is_ok() {
            pass(Point::StarterPulled).await;
            image_use::pulled(&session, &image).await;
        }
        pulled
    })
    .await;
    ending.pulled = match pulled {
        Ok(Ok(())) => Pulled::Done,
        Ok(Err(error)) => {
            warn!(image, error = format!("{error:#}"), "an image could not be pulled");
            match meaning(&error, &image) {
                Meaning::Final(failure) => Pulled::Refused(failure),
                Meaning::Passing(postponed) => Pulled::Failed(postponed.failure),
            }
        }
        Err(stuck) => {
            error!(image, error = %stuck, "a pull was given up");
            Pulled::GivenUp
        }
    };
}

/// Tells what came of a pull when it is dropped.
struct Ending<'a> {
    session: &'a Session,
    image: &'a str,
    pulled: Pulled,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let pulled = std::mem::replace(&mut self.pulled, Pulled::GivenUp);
        let call = self.session.images().pulled(self.image, pulled, Instant::now());
        if call != Call::Nobody {
            self.session.do_beside(Chore::CallBack(self.image.to_owned(), call));
        }
    }
}

async fn call_back(session: Arc<Session>, image: String, call: Call) {
    let most = match call {
        Call::Nobody => return,
        Call::First => 1,
        Call::FirstAt(at) => {
            sleep_until(at).await;
            1
        }
        Call::All => usize::MAX,
    };
    let aside = session.redis.aside_for_image(&session.whereabouts.now().1, &image);
    match session.pending.call_back(&aside, most).await {
        Ok(count) => debug!(image, count, "submissions that waited for their image are in line again"),
        Err(error) => {
            debug!(
                image,
                error = format!("{error:#}"),
                "nobody was called back; their time aside ends by itself"
            );
        }
    }
}

/// Looks whether the host has room for containers, again and again, and tells of changes.
pub async fn watch_host(session: Arc<Session>, short: watch::Sender<bool>) {
    heartbeat::beats_every(LOOK_EVERY + LOOK_FOR);
    loop {
        look_at_host(&session, &short).await;
        sleep(LOOK_EVERY).await;
    }
}

/// Looks once.
pub async fn look_at_host(session: &Arc<Session>, short: &watch::Sender<bool>) {
    if !session.host.is_asked() {
        tell_of(session, session.host.look(Instant::now()).as_ref(), short);
        return;
    }
    let host = Arc::clone(session);
    let look = tokio::task::spawn_blocking(move || host.host.look(Instant::now()));
    if let Ok(Ok(shortage)) = timeout(LOOK_FOR, look).await {
        tell_of(session, shortage.as_ref(), short);
    } else {
        // As it was.
        debug!("the host does not tell how much room it has");
    }
}

fn tell_of(session: &Session, shortage: Option<&Shortage>, short: &watch::Sender<bool>) {
    for resource in Resource::all() {
        let is_short = shortage.is_some_and(|shortage| shortage.resource() == *resource);
        session.metrics.host_short.of(*resource).flag(is_short);
    }
    if short.send_if_modified(|now| std::mem::replace(now, shortage.is_some()) != shortage.is_some()) {
        if let Some(shortage) = shortage {
            warn!("{shortage}: nothing is started until there is more");
        } else {
            info!("there is room again: submissions are started");
        }
    }
}

/// Compares permits and containers from time to time.
pub async fn keep_permits(session: Arc<Session>) {
    loop {
        sleep(COMPARE_EVERY.mul_f64(0.8 + 0.2 * fastrand::f64())).await;
        session.keep_permits_true().await;
    }
}
