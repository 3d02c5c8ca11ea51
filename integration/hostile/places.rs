//! Jobs whose file is the way to the host: its socket, its folders, its devices, and links to them.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::json;

use super::{build_image, job, says};
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_a_place_of_the_host_or_leads_to_one_is_refused_and_starts_nothing() {
    build_image().await;
    for with_folders in [false, true] {
        let mut system = System::prepare().await;
        let (uploads, outside) = (system.folder().to_owned(), tempfile::tempdir().expect("a folder"));
        let (alien, precious) = (uploads.join("other.sock"), outside.path().join("precious"));
        let _socket = UnixListener::bind(&alien).expect("a socket");
        std::fs::write(&precious, "x").expect("a file");
        let pipe = uploads.join("pipe");
        make_pipe(&pipe);
        let link = |name: &str, target: &Path| {
            symlink(target, uploads.join(name)).expect("a link");
            uploads.join(name)
        };
        let climbing = format!("{}/../../../../var/run/docker.sock", uploads.display());
        let mut cases = vec![
            ("root", "/".into()),
            ("socket", "/var/run/docker.sock".into()),
            ("run", "/run/docker.sock".into()),
            ("folder", "/var/run".into()),
            ("above", "/var".into()),
            ("climbing", climbing),
            ("device", "/dev/null".into()),
            ("proc", "/proc/1/environ".into()),
            ("engine", "/var/lib/docker/volumes".into()),
            ("alien", alien.display().to_string()),
            ("pipe", pipe.display().to_string()),
            ("to-socket", link("a", Path::new("/var/run/docker.sock")).display().to_string()),
            ("to-root", link("b", Path::new("/")).display().to_string()),
            ("to-device", link("c", Path::new("/dev/null")).display().to_string()),
        ];
        if with_folders {
            system.set(&[("EXERCISE_FOLDERS", uploads.to_str().expect("a path"))]);
            cases.push(("outside", precious.display().to_string()));
            cases.push(("to-outside", link("d", &precious).display().to_string()));
        }
        system.spawn("all");
        for (name, file) in &cases {
            let mut hostile = job(&system, name, "");
            hostile["file"] = json!(file);
            system.submit(&hostile).await;
        }
        let mut good = job(&system, "good", &says("ran"));
        let path = link("e", Path::new(good["file"].as_str().expect("a path")));
        good["file"] = json!(path);
        system.submit(&good).await;
        for (name, file) in &cases {
            let told = system.result(name).await.json();
            let error = told["error"].as_str().unwrap_or_default();
            assert_eq!(told["outcome"], "invalid_job", "{file}: {told}");
            assert!(error.contains("the field \"file\" of the job's data must"), "{file}: {error}");
        }
        assert_eq!(system.result("good").await.json()["success"], true);
        for (name, _) in &cases {
            assert_eq!(system.receiver.times(name), 1, "{name}: one result");
        }
        system.end().await;
    }
}

fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success());
}
