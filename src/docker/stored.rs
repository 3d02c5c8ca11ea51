//! Images that the engine has: which one a name means, whether a container uses it, its removal.

use std::path::PathBuf;

use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::answer::Refusal;
use super::connect::{Engine, decoded};
use super::error::{Call, EngineError};

/// What came of asking for an image's removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageRemoved {
    /// The name is gone, and the image with it unless it has others.
    Done,
    /// There is no such image.
    Gone,
    /// A container uses it.
    InUse,
}

#[derive(Deserialize)]
struct ImageAnswer {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Deserialize)]
struct FolderAnswer {
    #[serde(rename = "DockerRootDir", default)]
    folder: PathBuf,
}

impl Engine {
    /// The id of the image that a name means; `None` where there is none.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>, EngineError> {
        if !is_plain(image) {
            return Ok(None);
        }
        self.within(Call::InspectImage, self.timeout(), async {
            let path = format!("/images/{image}/json");
            let answer = self.ask(Call::InspectImage, Method::GET, &path, &[], None).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let answer = self.accepted(Call::InspectImage, answer).await?;
            decoded::<ImageAnswer>(Call::InspectImage, answer).await.map(|answer| Some(answer.id))
        })
        .await
    }

    /// Whether any container, whosever and whatever it does, is made of an image.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn is_image_used(&self, image: &str) -> Result<bool, EngineError> {
        let filters = serde_json::json!({ "ancestor": [image] }).to_string();
        self.within(Call::List, self.timeout(), async {
            let query = [("all", "true"), ("limit", "1"), ("filters", filters.as_str())];
            let answer = self.get(Call::List, "/containers/json", &query).await?;
            let found: Vec<serde::de::IgnoredAny> = decoded(Call::List, answer).await?;
            Ok(!found.is_empty())
        })
        .await
    }

    /// Removes an image by its name, never by force. Images that it was made from stay.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn remove_image(&self, image: &str) -> Result<ImageRemoved, EngineError> {
        if !is_plain(image) {
            return Ok(ImageRemoved::Gone);
        }
        self.within(Call::RemoveImage, self.timeout(), async {
            let path = format!("/images/{image}");
            let query = [("force", "false"), ("noprune", "true")];
            let answer = self.ask(Call::RemoveImage, Method::DELETE, &path, &query, None).await?;
            match answer.status() {
                status if status.is_success() => Ok(ImageRemoved::Done),
                StatusCode::NOT_FOUND => Ok(ImageRemoved::Gone),
                StatusCode::CONFLICT => Ok(ImageRemoved::InUse),
                _ => Err(self
                    .current(Refusal::read(Call::RemoveImage, answer).await?)?
                    .error(Call::RemoveImage)),
            }
        })
        .await
    }

    /// The folder on the engine's host in which it keeps what it stores.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn folder(&self) -> Result<PathBuf, EngineError> {
        self.within(Call::About, self.timeout(), async {
            let answer = self.get(Call::About, "/info", &[]).await?;
            decoded::<FolderAnswer>(Call::About, answer).await.map(|answer| answer.folder)
        })
        .await
    }
}

/// Whether a name can stand in a path: what no image is called must not lead to another call.
fn is_plain(image: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    image.bytes().all(legal) && image.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_image_can_be_called_is_asked_for() {
        for name in ["grader", "r.io:5000/a/b_c:1.2-x", "a@sha256:0af3"] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["", "/a", "a/", "a//b", "../containers/x", "a/../b", "a?force=1", "a#b", "a b", "ñ"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
