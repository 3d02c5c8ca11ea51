//! The runner itself needs no rights but access to the engine's socket.

use std::os::unix::fs::PermissionsExt;

use super::{comment, job, says_with_secret};
use crate::support::proxy::Proxy;
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn the_runner_works_as_nobody_with_nothing_but_a_socket_of_the_engine() {
    super::build_image().await;
    // Whoever runs the tests may use the engine; the runner gets a socket of its own that anybody may use.
    let proxy = Proxy::to_engine().await;
    let socket = proxy.socket();
    for path in [socket.parent().expect("a folder"), &socket] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    }
    let mut system = System::prepare().await;
    system.set(&[("DOCKER_HOST", &format!("unix://{}", socket.display())), ("CONTAINER_VERDICT", "secret")]);
    system.spawn_as_nobody("all");
    system.submit(&job(&system, "as-nobody", &says_with_secret("fine"))).await;
    assert_eq!(comment(&system, "as-nobody").await, "fine");
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", system.process_id("all"))).expect("it runs");
    for line in
        ["Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000"]
    {
        assert!(status.contains(line), "{status}");
    }
    system.end().await;
}
