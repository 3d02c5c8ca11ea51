//! The secret's way into a container: its label, its volume, the file in it, and the capabilities with which a
//! grader runs a submission as somebody else.
//!
//! The file is put there between create and start, through the archive call: so it is in no image, in no
//! environment and on no disk of ours. A volume takes it, since the engine extracts nothing into a read-only
//! root (`daemon/archive_unix.go` of moby), and a tmpfs is not there before the start.

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions};
use bollard::query_parameters::UploadToContainerOptions;

use super::connect::Engine;
use super::error::{Call, EngineError};
use crate::identity::ContainerId;
use crate::labels::SECRET_LABEL;
use crate::seal::{SEAL_FILE, SEAL_FOLDER, Seal};

/// What changing the user and ending another user's processes need. No new privilege comes of a set-uid file.
const CAPABILITIES: [&str; 3] = ["KILL", "SETGID", "SETUID"];
const NO_NEW_PRIVILEGES: &str = "no-new-privileges";

/// The unit of a tar archive.
const BLOCK: usize = 512;

/// The body of the create request of a container whose verdict needs a secret.
pub(super) fn sealed(mut body: ContainerCreateBody, seal: &Seal) -> ContainerCreateBody {
    body.labels.get_or_insert_default().insert(SECRET_LABEL.to_owned(), seal.reveal().to_owned());
    let host = body.host_config.get_or_insert_with(HostConfig::default);
    host.mounts.get_or_insert_default().push(Mount {
        target: Some(SEAL_FOLDER.to_owned()),
        typ: Some(MountType::VOLUME),
        // What the image has at this place is not copied into it.
        volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
        ..Mount::default()
    });
    let options = host.security_opt.get_or_insert_default();
    if !options.iter().any(|option| option.starts_with(NO_NEW_PRIVILEGES)) {
        options.push(NO_NEW_PRIVILEGES.to_owned());
    }
    let given = host.cap_add.get_or_insert_default();
    for capability in CAPABILITIES {
        if !given.iter().any(|known| known.trim_start_matches("CAP_") == capability) {
            given.push(capability.to_owned());
        }
    }
    body
}

impl Engine {
    /// Puts its secret into a container that is not started yet. To do so twice is to do so once.
    ///
    /// # Errors
    /// `NoSuchContainer`, `MountMissing`, `DiskFull`, `BadRequest`, and those of every call.
    pub async fn put_secret(&self, container: &ContainerId, seal: &Seal) -> Result<(), EngineError> {
        self.within(Call::PutSecret, self.timeout(), async {
            let spoken = self.spoken().await?;
            let options = UploadToContainerOptions {
                path: SEAL_FOLDER.to_owned(),
                ..UploadToContainerOptions::default()
            };
            let archive = bollard::body_full(archive(SEAL_FILE, seal.reveal().as_bytes()).into());
            match spoken.docker.upload_to_container(container.as_str(), Some(options), archive).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.refused(Call::PutSecret, error)?.of_put_secret(container)),
            }
        })
        .await
    }
}

/// A tar archive (POSIX.1-1988, `ustar`) of one file that root alone can read.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; BLOCK];
    let mut field = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    field(0, name);
    field(100, "0000400\0");
    field(108, "0000000\0");
    field(116, "0000000\0");
    field(124, &format!("{:011o}\0", content.len()));
    field(136, "00000000000\0");
    // The checksum counts itself as spaces.
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\x0000");
    field(265, "root\0");
    field(297, "root\0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::seal::tests::seal;

    #[test]
    fn tar_reads_the_archive_as_a_file_of_root_that_nobody_else_may_read() {
        let archive = archive(SEAL_FILE, seal(3).reveal().as_bytes());
        assert_eq!(archive.len() % BLOCK, 0);
        let tar = |arguments: &[&str]| {
            let mut tar = Command::new("tar");
            tar.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = tar.spawn().expect("tar is there");
            child.stdin.take().expect("a pipe").write_all(&archive).expect("tar reads");
            let output = child.wait_with_output().expect("tar ends");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).expect("text")
        };
        let listed = tar(&["-tvf", "-", "--numeric-owner"]);
        assert!(listed.starts_with("-r-------- 0/0 ") && listed.contains(" 40 "), "{listed}");
        assert!(listed.trim_end().ends_with(" secret"), "{listed}");
        assert_eq!(tar(&["-xOf", "-", "secret"]), seal(3).reveal());
    }

    #[test]
    fn a_sealed_container_has_label_volume_and_what_changing_the_user_needs_and_no_more() {
        let body = sealed(ContainerCreateBody::default(), &seal(3));
        assert_eq!(body.labels.expect("labels")[SECRET_LABEL], seal(3).reveal());
        assert_eq!(body.env, None);
        let host = serde_json::to_value(body.host_config).expect("JSON");
        assert_eq!(
            host,
            serde_json::json!({
                "CapAdd": ["KILL", "SETGID", "SETUID"],
                "SecurityOpt": ["no-new-privileges"],
                "Mounts": [{"Target": "/run/correctomatic", "Type": "volume", "VolumeOptions": {"NoCopy": true}}],
            })
        );
    }

    #[test]
    fn what_is_given_already_is_not_given_twice() {
        let host = HostConfig {
            cap_add: Some(vec!["CHOWN".to_owned(), "CAP_KILL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges:true".to_owned(), "apparmor=x".to_owned()]),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody { host_config: Some(host), ..ContainerCreateBody::default() };
        let host = sealed(body, &seal(3)).host_config.expect("a host part");
        assert_eq!(host.cap_add.expect("some"), ["CHOWN", "CAP_KILL", "SETGID", "SETUID"]);
        assert_eq!(host.security_opt.expect("some"), ["no-new-privileges:true", "apparmor=x"]);
    }
}
