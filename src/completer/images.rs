//! Removing images that we pulled and that no correction used for long (`IMAGES_KEEP_FOR`, `IMAGES_MIN_FREE_DISK`).
//!
//! Only what is noted as pulled by us goes, and only while the name still means the image that we pulled. Never one
//! that a container uses, whatever that container does: the engine is asked before, and its removal is not forced,
//! so that it refuses what it knows better. Nor one that was used in the last ten rounds: it may have been pulled for
//! a container that is not made yet. A start that needs a removed image pulls it again.

use std::time::Duration;

use rustix::fs::statvfs;
use tracing::{debug, info, warn};

use crate::config::Endpoint;
use crate::docker::{EngineError, ImageRemoved};
use crate::queue::PulledImage;

use super::clearing::IMAGES_EACH;
use super::session::Session;

/// Removes images, round by round.
#[derive(Debug, Default)]
pub struct Tidier {
    warned: bool,
}

impl Tidier {
    /// Removes what is old, and then, while the disk has too little room, what was not used for the longest time.
    pub async fn tidy(&mut self, session: &Session) {
        let settings = session.settings.images;
        if settings.keep_for.is_none() && settings.min_free_disk.is_none() {
            return;
        }
        let engine = session.engine_id();
        let images = match session.redis.pulled_images(&engine).await {
            Ok(images) => images,
            Err(error) => {
                debug!(error = format!("{error:#}"), "which images were pulled cannot be read now");
                return;
            }
        };
        // What was pulled a moment ago is about to be used.
        let idle = session.settings.sweep_interval.saturating_mul(IMAGES_EACH);
        for image in images.into_iter().take_while(|image| image.unused_for >= idle) {
            let old = settings.keep_for.is_some_and(|keep_for| image.unused_for >= keep_for);
            // They come in the order of their last use: once none is too old and there is room, all stay.
            if !(old || self.is_disk_short(session, settings.min_free_disk).await) {
                return;
            }
            match remove(session, &image).await {
                Ok(true) => {
                    if let Err(error) = session.redis.forget_image(&engine, &image.name).await {
                        debug!(
                            error = format!("{error:#}"),
                            "an image that was removed is looked for once more"
                        );
                    }
                }
                Ok(false) => {}
                Err(error) if error.is_away() => return,
                Err(error) => {
                    warn!(image = image.name, error = format!("{error:#}"), "an image could not be removed");
                }
            }
        }
    }

    async fn is_disk_short(&mut self, session: &Session, least: Option<u64>) -> bool {
        let Some(least) = least else { return false };
        match free_disk(session).await {
            Ok(Some(free)) => free < least,
            Ok(None) => {
                if !self.warned {
                    self.warned = true;
                    warn!(
                        "IMAGES_MIN_FREE_DISK: the Docker engine's folder is not visible here, so that it is not \
                        known how much room its disk has"
                    );
                }
                false
            }
            Err(error) => {
                debug!(error = format!("{error:#}"), "the engine does not tell its folder now");
                false
            }
        }
    }
}

/// The room on the disk of the engine's folder; `None` where that is not on this host.
async fn free_disk(session: &Session) -> Result<Option<u64>, EngineError> {
    if !matches!(session.settings.docker.endpoint, Endpoint::Unix(_)) {
        return Ok(None);
    }
    let folder = session.engine.folder().await?;
    let asked = tokio::task::spawn_blocking(move || statvfs(&folder).ok());
    Ok(asked.await.ok().flatten().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)))
}

/// Removes an image if nothing speaks against it. Tells whether its note has to be forgotten.
async fn remove(session: &Session, image: &PulledImage) -> Result<bool, EngineError> {
    let PulledImage { name, id, unused_for } = image;
    let found = session.engine.image_id(name).await?;
    if id.is_none() || found != *id {
        debug!(image = name, "the image that was pulled is not here any more");
        return Ok(true);
    }
    if session.engine.is_image_used(name).await? {
        debug!(image = name, "an image that was not used for long is still a container's");
        return Ok(false);
    }
    match session.engine.remove_image(name).await? {
        ImageRemoved::Done => {
            let unused_for = Duration::from_secs(unused_for.as_secs());
            info!(image = name, ?unused_for, "an image that was not used for long is removed");
            Ok(true)
        }
        ImageRemoved::Gone => Ok(true),
        ImageRemoved::InUse => {
            debug!(image = name, "the engine keeps an image that is in use");
            Ok(false)
        }
    }
}
