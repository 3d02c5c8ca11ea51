//! Hostile submissions and graders against the real engine: what SECURITY.md says is defended.

mod container;
mod example;
mod forging;
mod inputs;
mod leaks;
mod page;
mod places;
mod runner;
mod secret_files;

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::support::system::System;

/// Busybox with a user `nobody`, a program that tries what hostile programs try (`probe`), and the same with the
/// set-user-id bit of root (`raise`). It runs its submission as a shell script, as root.
const IMAGE: &str = "correction-runner-test/hostile:4";

const BUILD: &str = r#"
set -eu
if docker image inspect "$1" >/dev/null 2>&1; then exit 0; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/tmp" "$folder/etc" "$folder/root"
chmod 755 "$folder" "$folder/bin"
chmod 1777 "$folder/tmp"
cp /bin/busybox "$folder/bin/busybox"
for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$folder/bin/$applet"
done
cc -static -O1 -Wall -o "$folder/bin/probe" "$2"
cp "$folder/bin/probe" "$folder/bin/raise"
chmod 4755 "$folder/bin/raise"
printf '%s\n' 'root:x:0:0:root:/:/bin/sh' 'nobody:x:65534:65534:nobody:/tmp:/bin/sh' >"$folder/etc/passwd"
tar -C "$folder" --owner=0 --group=0 --numeric-owner -c . |
    docker import --change 'CMD ["/bin/sh", "/tmp/exercise"]' --change 'ENV PATH=/bin' - "$1" >/dev/null
"#;

static BUILT: OnceCell<()> = OnceCell::const_new();

/// Makes the image, once.
async fn build_image() {
    BUILT
        .get_or_init(|| async {
            let probe = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/hostile/probe.c");
            let mut build = Command::new("sh");
            let status = build.args(["-c", BUILD, "build", IMAGE, probe]).stdin(Stdio::null()).status().await;
            assert!(
                status.expect("sh runs").success(),
                "the image cannot be made: busybox-static, cc, docker?"
            );
        })
        .await;
}

/// A system whose graders run as these settings say, with the image made.
async fn system(settings: &[(&str, &str)]) -> System {
    build_image().await;
    System::start(settings).await
}

/// A job whose grader is a script, in the hostile image.
fn job(system: &System, name: &str, script: &str) -> Value {
    let mut job = system.job(name, script);
    job["image"] = json!(IMAGE);
    job
}

/// The shell function `attempt NAME COMMAND…`: notes in `$worked` what was not refused. It may have output.
const ATTEMPT: &str = r#"
worked=
attempt() { name=$1; shift; if "$@" >/dev/null 2>&1; then worked="$worked $name"; fi; }
"#;

/// The shell function `as_student COMMAND…`: runs a shell command line as another user.
const AS_STUDENT: &str = r#"
as_student() { su -s /bin/sh nobody -c "$1"; }
"#;

/// A verdict with a comment, as a shell prints it.
fn says(comment: &str) -> String {
    format!("echo '{{\"success\":true,\"comments\":[\"'\"{comment}\"'\"]}}'\n")
}

/// The same in a block that has the secret.
fn says_with_secret(comment: &str) -> String {
    let line = |word: &str| {
        format!("echo \"-----{word} CORRECTOMATIC RESPONSE $(cat /run/correctomatic/secret)-----\"\n")
    };
    line("BEGIN") + &says(comment) + &line("END")
}

/// The comment of the verdict that arrived.
async fn comment(system: &System, name: &str) -> String {
    let body = system.result(name).await.json();
    body["comments"][0].as_str().unwrap_or_else(|| panic!("{name} has no verdict: {body}")).to_owned()
}

/// A script that waits, for as long as its container is to be looked at.
fn when_looked_at(script: &str) -> String {
    format!("until grep -q '^# looked at' \"$0\"; do sleep 0.1; done\n{script}")
}

/// Lets such a script go on.
fn looked_at(job: &Value) {
    use std::io::Write as _;

    let path = job["file"].as_str().expect("a path");
    let mut file = std::fs::File::options().append(true).open(path).expect("its submission");
    file.write_all(b"\n# looked at\n").expect("written");
}
