//! The slow loop that clears away what results leave behind: the submissions' files, images that were not used for
//! long. Both are opt-in, and known from notes in Redis, so that nothing is lost with the process.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, warn};

use crate::config::ImageRetention;
use crate::crash_points::{Point, pass};
use crate::heartbeat::{self, bounded};
use crate::queue::{KEPT_FOR, READ_AT_ONCE, UsedFile};

use super::exercises::{Deleted, delete};
use super::images;
use super::removal::SAFE_AFTER;
use super::session::Session;

/// Images are looked at at each so-manieth round.
pub const IMAGES_EACH: u32 = 10;

/// The loop. It ends when dropped.
#[derive(Debug)]
pub struct Clearing {
    _stop: CancellationToken,
    _loop: AbortOnDropHandle<()>,
}

impl Clearing {
    /// Starts it where the settings ask for anything of it.
    #[must_use]
    pub fn start(session: &Arc<Session>) -> Option<Self> {
        let images = session.settings.images;
        let wanted = !session.settings.remove_exercises_in.is_empty() || images != ImageRetention::default();
        if !wanted {
            return None;
        }
        let stop = CancellationToken::new();
        let work = rounds(Arc::clone(session));
        Some(Self { _loop: heartbeat::spawn("completer: clearing away", &stop, work), _stop: stop })
    }
}

async fn rounds(session: Arc<Session>) {
    heartbeat::may_rest();
    let (files, mut disk) = (Files::default(), images::Tidier::default());
    for round in 0_u32.. {
        tokio::time::sleep(session.settings.sweep_interval).await;
        let work = async {
            if !session.settings.remove_exercises_in.is_empty() {
                files.clear(&session).await;
            }
            if round.is_multiple_of(IMAGES_EACH) {
                disk.tidy(&session).await;
            }
        };
        if let Err(stuck) = bounded(work).await {
            error!(error = %stuck, "what results leave behind is cleared away later");
        }
    }
}

/// The deletion of files. One at a time: a file system that hangs takes one thread and no more.
#[derive(Debug)]
struct Files {
    turn: Arc<Semaphore>,
    warned: AtomicBool,
}

impl Default for Files {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), warned: AtomicBool::new(false) }
    }
}

impl Files {
    /// Deletes what was noted some time ago: what Redis told before may be forgotten by it yet.
    async fn clear(&self, session: &Session) {
        while self.clear_some(session).await.is_some_and(|seen| seen == READ_AT_ONCE) {}
    }

    /// Deals with some files, and tells with how many; `None` where that cannot be done now.
    async fn clear_some(&self, session: &Session) -> Option<usize> {
        let engine = session.engine_id();
        let noted = match session.redis.used_files(&engine, SAFE_AFTER).await {
            Ok(noted) if noted.is_empty() => return None,
            Ok(noted) => noted,
            Err(error) => {
                debug!(error = format!("{error:#}"), "which files are to be deleted cannot be read now");
                return None;
            }
        };
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            warn!("the file system of the submissions does not answer: their files are deleted later");
            return None;
        };
        let folders = session.settings.remove_exercises_in.clone();
        let deleted = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let delete = |file: UsedFile| (delete(Path::new(&file.path), file.submitted, &folders), file);
            noted.into_iter().map(delete).collect::<Vec<_>>()
        });
        let deleted = deleted.await.ok()?;
        pass(Point::ExercisesDeleted).await;
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for (what, file) in &deleted {
            if self.is_done(*what, file) { done.push(file) } else { failed.push(file) }
        }
        let forgotten = async {
            session.redis.forget_used_files(&engine, &done).await?;
            session.redis.put_off_used_files(&engine, &failed).await
        };
        if let Err(error) = forgotten.await {
            debug!(error = format!("{error:#}"), "files that were deleted are looked for once more");
            return None;
        }
        Some(deleted.len())
    }

    /// Whether nothing more is to be done about a file.
    fn is_done(&self, deleted: Deleted, UsedFile { path, submitted, .. }: &UsedFile) -> bool {
        match deleted {
            Deleted::Done => debug!(file = path, "the submission's file is deleted"),
            Deleted::Gone => debug!(file = path, "the submission's file is not there any more"),
            Deleted::LeftAlone(why) => warn!(file = path, why, "a submission's file is not deleted"),
            Deleted::OutOfSight => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    warn!(
                        file = path,
                        "REMOVE_EXERCISE: submissions are not visible here under the path that they \
                        have on the Docker host, so that their files are not deleted"
                    );
                }
            }
            Deleted::Failed(error) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    warn!(file = path, %error, "REMOVE_EXERCISE: a submission's file cannot be deleted; it is tried \
                        for a week");
                }
                let now = jiff::Timestamp::now().as_millisecond().unsigned_abs();
                return u128::from(now.saturating_sub(*submitted)) > KEPT_FOR.as_millis();
            }
        }
        true
    }
}
