//! `doctor`: what works, and what there is to say of it all the same.

use std::time::Duration;

use serde_json::{Value, json};

use super::asked;
use super::doctor::{Found, of_redis};
use crate::support::proxy::{Mode, Proxy, Target};
use crate::support::redis::RedisServer;
use crate::support::simulated_engine::{Options, SimulatedEngine};

/// What is found for a component on an engine that says this of itself.
async fn on_engine(component: &str, info: Value) -> Found {
    let engine = SimulatedEngine::start(Options { info, ..Options::default() }).await;
    let host = format!("unix://{}", engine.socket().display());
    let port = RedisServer::shared().port().to_string();
    let environment = [("DOCKER_HOST", host.as_str()), ("REDIS_PORT", port.as_str())];
    Found::of(&asked(&["doctor", component, "--json"], &environment).await)
}

/// A check has one finding, which says this, and no remedy (`None`) or one with these words.
#[track_caller]
fn says(found: &Found, check: &str, verdict: &str, words: &str, remedy: Option<&str>) {
    let all = found.all(check);
    assert_eq!((all.len(), found.verdict(check)), (1, verdict), "{check}: {all:?}");
    let text = |field: &str| all[0][field].as_str();
    assert!(text("found").is_some_and(|text| text.contains(words)), "{words}: {all:?}");
    let helps = text("remedy").is_some_and(|text| remedy.is_some_and(|words| text.contains(words)));
    assert!(helps || remedy.is_none() && text("remedy").is_none(), "{remedy:?}: {all:?}");
}

#[tokio::test]
async fn control_groups_are_told_as_they_are_and_their_first_version_without_swap_is_worth_a_note() {
    let info = json!({ "CgroupVersion": "2", "CgroupDriver": "systemd" });
    says(&on_engine("starter", info).await, "cgroups", "ok", "control groups 2, by systemd", None);
    let info = json!({ "CgroupVersion": "1", "CgroupDriver": "cgroupfs", "SwapLimit": true });
    says(&on_engine("starter", info).await, "cgroups", "ok", "control groups 1, by cgroupfs", None);
    let info = json!({ "CgroupVersion": "1", "CgroupDriver": "cgroupfs", "SwapLimit": false });
    let words = "without accounting of swap";
    says(&on_engine("completer", info).await, "cgroups", "note", words, Some("swapaccount=1"));
    let info = json!({ "CgroupVersion": null, "CgroupDriver": null });
    says(&on_engine("starter", info).await, "cgroups", "ok", "an unknown version", None);
}

#[tokio::test]
async fn a_storage_driver_without_layers_is_worth_a_note() {
    let info = json!({ "Driver": "vfs" });
    says(&on_engine("starter", info).await, "storage", "note", "vfs", Some("overlay2"));
    let info = json!({ "Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]] });
    says(&on_engine("completer", info).await, "storage", "ok", "overlay2 on extfs", None);
}

#[tokio::test]
async fn the_disk_of_the_engine_is_looked_at_where_it_is_on_this_machine() {
    let found = on_engine("starter", json!({ "DockerRootDir": "/" })).await;
    let disk = found.all("disk");
    assert!(disk.iter().any(|it| it["found"].as_str().is_some_and(|text| text.contains('/'))), "{disk:?}");
    // Nobody listens there: nothing is told of a disk.
    let environment = [("DOCKER_HOST", "unix:///nowhere/docker.sock")];
    let found = Found::of(&asked(&["doctor", "starter", "--json"], &environment).await);
    assert!(found.all("disk").is_empty(), "{}", found.text);
}

/// It is the completer that reads what graders print, and it does not know the starter's settings.
#[tokio::test]
async fn a_completer_is_told_of_the_log_driver_that_it_has_to_read() {
    let info = json!({ "LoggingDriver": "json-file" });
    says(&on_engine("completer", info).await, "log_driver", "ok", "json-file", None);
    let info = json!({ "LoggingDriver": "syslog" });
    says(&on_engine("completer", info).await, "log_driver", "note", "syslog", Some("doctor starter"));
}

#[tokio::test]
async fn a_redis_that_is_far_away_is_worth_a_warning() {
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let proxy = Proxy::to(Target::Port(server.port())).await;
    proxy.set(Mode::Slow(Duration::from_millis(25)));
    let found = of_redis(proxy.port(), &[]).await;
    says(&found, "latency", "warning", "a round trip takes", Some("nearer"));
    assert_eq!(found.code, Some(0), "{}", found.text);
}
