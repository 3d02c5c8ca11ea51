//! The engine's list of containers, read one by one: there may be tens of thousands.

use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::connect::Engine;
use super::elements::{Element, Elements, LONGEST, NotAnArray};
use super::error::{Call, EngineError};
use super::transport::told;

/// How much longer than other calls a list may take.
const LIST_FACTOR: u32 = 6;

impl Engine {
    /// Lists the containers that the engine's filters let through
    /// (<https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerList>), whatever
    /// they are doing. Each is shown to `keep` as soon as it was read, and only what that makes of it is held. The
    /// call is given six times `DOCKER_TIMEOUT`, since it takes the engine the longer the more containers there are.
    /// One of which the engine says too much (4 MiB) is left out, with a warning.
    ///
    /// # Errors
    /// Those of every call; then some containers may have been shown.
    pub(super) async fn each_container<A: DeserializeOwned, T: Send>(
        &self,
        filters: &serde_json::Value,
        mut keep: impl FnMut(A) -> Option<T> + Send,
    ) -> Result<Vec<T>, EngineError> {
        let filters = filters.to_string();
        self.within(Call::List, self.timeout() * LIST_FACTOR, async {
            let query = [("all", "true"), ("filters", filters.as_str())];
            let mut body = self.get(Call::List, "/containers/json", &query).await?.into_body();
            let (mut elements, mut kept) = (Elements::default(), Vec::new());
            while let Some(frame) = body.frame().await {
                let frame = frame
                    .map_err(|error| EngineError::NoAnswer { call: Call::List, reason: told(&error) })?;
                let bytes = frame.data_ref().map_or(&[][..], |bytes| bytes);
                elements.push(bytes, |element| {
                    let element = match element {
                        Element::Whole(element) => element,
                        Element::TooLong(beginning) => {
                            let container_id = beginning_id(beginning);
                            tracing::warn!(
                                container_id,
                                bytes = LONGEST,
                                "the engine's list says more of a container than is read: left out"
                            );
                            return Ok(());
                        }
                    };
                    kept.extend(keep(serde_json::from_slice(element).map_err(garbled)?));
                    Ok::<_, EngineError>(())
                })?;
            }
            if elements.ended() { Ok(kept) } else { Err(garbled("it is not complete")) }
        })
        .await
    }
}

fn garbled(reason: impl std::fmt::Display) -> EngineError {
    EngineError::Garbled { call: Call::List, reason: reason.to_string() }
}

/// The id in the beginning of what a list says of a container, as Docker writes it.
fn beginning_id(beginning: &[u8]) -> Option<&str> {
    let id = beginning.strip_prefix(br#"{"Id":""#)?.split(|byte| !byte.is_ascii_alphanumeric()).next()?;
    str::from_utf8(id.get(..64).unwrap_or(id)).ok()
}

impl From<NotAnArray> for EngineError {
    fn from(error: NotAnArray) -> Self {
        garbled(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_of_which_too_much_is_said_is_named_by_its_id() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(beginning_id(format!(r#"{{"Id":"{id}","Names":["/n"]"#).as_bytes()), Some(id.as_str()));
        assert_eq!(beginning_id(format!(r#"{{"Id":"{id}{id}"#).as_bytes()), Some(id.as_str()));
        assert_eq!(beginning_id(br#"{"Names":[""#), None);
    }
}
