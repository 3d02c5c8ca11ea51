//! Takes note of the images that we pull, and of their use: only what is noted may ever be removed again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::services::Session;
use crate::image::Image;

/// The use of an image is noted no more often than this.
const NOTED_EACH: Duration = Duration::from_secs(60);
/// Of so many images it is remembered when that was.
const REMEMBERED: usize = 1000;

/// When the use of each image was last noted.
#[derive(Debug, Default)]
pub struct ImageUse(Mutex<HashMap<String, Instant>>);

impl ImageUse {
    /// Whether the use of an image is to be noted now.
    fn is_due(&self, image: &str, now: Instant) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(image).is_some_and(|at| now.saturating_duration_since(*at) < NOTED_EACH) {
            return false;
        }
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(image.to_owned(), now);
        true
    }
}

/// The name under which an image is noted: however jobs spell it, it is one.
fn noted_as(image: &str) -> String {
    match Image::read(image) {
        Ok(Image::Named(name)) => name.to_string(),
        Ok(Image::ById(_)) | Err(_) => image.to_owned(),
    }
}

/// An image that was not here was pulled. Where that cannot be noted, the image simply stays.
pub async fn pulled(session: &Session, image: &str) {
    let engine = session.whereabouts.now().1;
    let id = match session.engine.image_id(image).await {
        Ok(Some(id)) => id,
        Ok(None) => return,
        Err(error) => {
            debug!(
                image,
                error = format!("{error:#}"),
                "what was pulled cannot be looked at: it is never removed"
            );
            return;
        }
    };
    if let Err(error) = session.redis.note_pulled(&engine, &noted_as(image), &id).await {
        debug!(image, error = format!("{error:#}"), "a pull cannot be noted: the image is never removed");
    }
}

/// A container of an image was started.
pub async fn used(session: &Session, image: &str) {
    let image = &*noted_as(image);
    if !session.image_use.is_due(image, Instant::now()) {
        return;
    }
    let engine = session.whereabouts.now().1;
    if let Err(error) = session.redis.note_image_use(&engine, image).await {
        debug!(image, error = format!("{error:#}"), "the use of an image cannot be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_one_note_however_it_is_spelled() {
        for spelled in ["grader:1", "library/grader:1", "docker.io/grader:1", "docker.io/library/grader:1"] {
            assert_eq!(noted_as(spelled), "docker.io/library/grader:1");
        }
        assert_eq!(noted_as("registry.example.org:5000/a/b"), "registry.example.org:5000/a/b:latest");
        assert_eq!(noted_as("No Image"), "No Image");
    }

    #[test]
    fn the_use_of_an_image_is_noted_once_a_minute_and_of_no_more_than_a_thousand_is_that_remembered() {
        let (image_use, now) = (ImageUse::default(), Instant::now());
        assert!(image_use.is_due("a", now) && !image_use.is_due("a", now + Duration::from_secs(59)));
        assert!(image_use.is_due("b", now) && image_use.is_due("a", now + NOTED_EACH));
        for number in 0..3000 {
            image_use.is_due(&number.to_string(), now);
        }
        assert!(image_use.0.lock().expect("not poisoned").len() <= REMEMBERED);
    }
}
