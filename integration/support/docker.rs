//! Grader images for the tests, made from Debian's static busybox with no registry, and the `docker`
//! command line for what a person would do by hand.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::OnceCell;

/// Runs its submission as a shell script: so each test writes what its grader does.
pub const GRADER_IMAGE: &str = "correction-runner-test/grader:1";
/// Cannot be started: its entrypoint does not exist.
pub const BAD_ENTRYPOINT_IMAGE: &str = "correction-runner-test/bad-entrypoint:1";

const BUILD: &str = r#"
set -eu
# Made anew they would leave their forerunners behind, nameless: a change of them is a change of name.
if docker image inspect "$1" "$2" >/dev/null 2>&1; then exit 0; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/tmp"
cp /bin/busybox "$folder/bin/busybox"
for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$folder/bin/$applet"
done
tar -C "$folder" -c . | docker import --change 'CMD ["/bin/sh", "/tmp/exercise"]' - "$1" >/dev/null
tar -C "$folder" -c . | docker import --change 'ENTRYPOINT ["/no/such/program"]' - "$2" >/dev/null
"#;

static BUILT: OnceCell<()> = OnceCell::const_new();

/// Makes the images, once.
pub async fn build_images() {
    BUILT
        .get_or_init(|| async {
            let status = Command::new("sh")
                .args(["-c", BUILD, "build", GRADER_IMAGE, BAD_ENTRYPOINT_IMAGE])
                .stdin(Stdio::null())
                .status()
                .await
                .expect("sh runs");
            assert!(status.success(), "the test images cannot be made; `make test` installs what they need");
        })
        .await;
}

/// Runs the `docker` command line and gives what it printed.
pub async fn command(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().await;
    let output = output.expect("the docker command line is there; `make test` installs it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Removes the containers whose results would go to a receiver: what a failed test leaves behind.
pub fn remove_containers_of_callbacks(start_of_url: &str) {
    let line = "docker ps -aq --no-trunc --filter label=org.correctomatic.instance --format '{{.ID}} {{.Label \"org.correctomatic.callback\"}}' \
        | grep -F \" $1\" | cut -d' ' -f1 | xargs -r docker rm -fv";
    clean(line, start_of_url.as_ref());
}

/// The same by the folder of their submissions: containers of the Node stand-ins carry no label of ours.
pub fn remove_containers_of_submissions(folder: &Path) {
    let line = r#"for file in "$1"/submission-*; do docker ps -aq --no-trunc --filter volume="$file"; done \
        | xargs -r docker rm -fv"#;
    clean(line, folder.as_ref());
}

fn clean(line: &str, of: &OsStr) {
    // A test that has failed already has nothing more to say about it.
    let _ = std::process::Command::new("sh")
        .args([OsStr::new("-c"), line.as_ref(), "clean".as_ref(), of])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
