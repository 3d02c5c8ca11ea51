//! The simulated engine's volumes: the one that a secret is put into, and the sizes of those of images.

use bytes::Bytes;

use super::container::{HostConfig, SECRET_FOLDER, script};
use super::reply::Refusal;
use super::world::World;

impl World {
    /// `PUT /containers/{id}/archive`: the one file of the archive, in its one place.
    pub fn extract(&mut self, reference: &str, path: &str, archive: &Bytes) -> Result<(), Refusal> {
        let container = self.find_mut(reference)?;
        let host_config = container.host_config.as_ref().map_or("{}", |host_config| host_config.get());
        let host_config: HostConfig =
            serde_json::from_str(host_config).map_err(|error| Refusal(400, error.to_string()))?;
        let has_volume = host_config.mounts.is_some_and(|all| all.iter().any(|mount| mount.target == path));
        if path != SECRET_FOLDER || !has_volume {
            let name = &container.identity.name;
            return Err(Refusal(404, format!("Could not find the file {path} in container {name}")));
        }
        let size = archive.get(124..135).and_then(|digits| str::from_utf8(digits).ok());
        let size = size.and_then(|digits| usize::from_str_radix(digits, 8).ok()).unwrap_or(0);
        let content =
            archive.get(512..512 + size).ok_or_else(|| Refusal(400, "unexpected EOF".to_owned()))?;
        container.secret = Some(String::from_utf8_lossy(content).into_owned());
        Ok(())
    }

    /// `GET /system/df?type=volume`.
    pub fn volumes_json(&self) -> String {
        let volumes = self.containers.values().filter_map(|container| {
            let size = container.variable(script::VOLUME)?.parse::<u64>().ok()?;
            Some(serde_json::json!({ "Name": container.identity.id, "UsageData": { "Size": size, "RefCount": 1 } }))
        });
        serde_json::json!({ "Volumes": volumes.collect::<Vec<_>>() }).to_string()
    }
}
