//! Containers on the real engine: made, started, looked at, read, killed, removed.

use correction_runner::docker::{EngineError, Killed, Removed, State};
use correction_runner::identity::{ContainerId, InstanceId};
use correction_runner::profile::Profile;

use super::{Bench, engine_at, hardened};
use crate::support::docker;
use crate::support::proxy::{ENGINE_SOCKET, Proxy};

async fn bench() -> Bench {
    Bench::on(engine_at(ENGINE_SOCKET)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_made_run_read_and_removed() {
    let bench = bench().await;
    let mut spec = bench.spec("echo \"$GREETING ñ\"; echo oops >&2; exit 7");
    spec.params = vec!["GREETING=good day".to_owned()];
    spec.labels.insert("extra".to_owned(), "álgebra \"1\"".to_owned());
    let id = bench.engine.create(&spec).await.unwrap();

    let made = bench.engine.inspect(&spec.name).await.unwrap().unwrap();
    assert_eq!((&made.id, made.state, made.started_at, made.finished_at), (&id, State::Created, None, None));
    assert_eq!(made.labels, spec.labels);

    bench.engine.start(&id).await.unwrap();
    docker::command(&["wait", id.as_str()]).await;
    let ended = bench.engine.inspect(id.as_str()).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.exit_code, ended.error.as_str()), (State::Exited, 7, ""));
    // The engine takes the two times in different places: a short run can end before it began.
    let ran = ended.finished_at.unwrap().duration_since(ended.started_at.unwrap());
    assert!(ran.abs().as_secs() < 60, "{ran}");
    let age = bench.engine.now().duration_since(ended.finished_at.unwrap());
    assert!(age.as_secs() < 60, "{age}");

    let output = bench.engine.output(&id, 1 << 20).await.unwrap().unwrap();
    assert_eq!(output.stdout(), Some("good day ñ\n".as_bytes()));
    assert_eq!(output.stderr(), Some("oops\n".as_bytes()));

    assert_eq!(bench.engine.kill(&id).await.unwrap(), Killed::NotRunning);
    assert_eq!(bench.engine.remove(&id, false).await.unwrap(), Removed::Done);
    assert_eq!(bench.engine.remove(&id, false).await.unwrap(), Removed::Gone);
    assert_eq!(bench.engine.kill(&id).await.unwrap(), Killed::Gone);
    assert_eq!(bench.engine.inspect(id.as_str()).await.unwrap(), None);
    assert!(bench.engine.output(&id, 10).await.unwrap().is_none());
    let gone = EngineError::NoSuchContainer { container: id.to_string() };
    assert_eq!(bench.engine.start(&id).await, Err(gone.clone()));
    assert_eq!(bench.engine.unpause(&id).await, Err(gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_or_paused_container_is_not_removed_unless_forced_and_can_be_killed() {
    let bench = bench().await;
    let id = bench.run("exec sleep 600").await;
    bench.engine.start(&id).await.expect("a container that runs is no error");
    bench.engine.unpause(&id).await.expect("a container that is not paused is no error");
    assert_eq!(bench.engine.remove(&id, false).await.unwrap(), Removed::Running);
    docker::command(&["pause", id.as_str()]).await;
    assert_eq!(bench.engine.inspect(id.as_str()).await.unwrap().unwrap().state, State::Paused);
    assert_eq!(bench.engine.remove(&id, false).await.unwrap(), Removed::Running);
    bench.engine.unpause(&id).await.unwrap();
    assert_eq!(bench.engine.kill(&id).await.unwrap(), Killed::Sent);
    docker::command(&["wait", id.as_str()]).await;
    assert_eq!(bench.engine.inspect(id.as_str()).await.unwrap().unwrap().exit_code, 137);
    let forced = bench.run("exec sleep 600").await;
    assert_eq!(bench.engine.remove(&forced, true).await.unwrap(), Removed::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_installations_on_one_engine_list_only_their_own() {
    let (one, other) = (bench().await, bench().await);
    let (created, ended, foreign) =
        (one.create("true").await, one.ran("true").await, other.create("true").await);
    let mut listed = one.engine.list(&one.instance, Some).await.unwrap();
    listed.sort_by_key(|listed| listed.state == State::Exited);
    let found: Vec<_> = listed.iter().map(|listed| (&listed.id, listed.state)).collect();
    assert_eq!(found, [(&created, State::Created), (&ended, State::Exited)]);
    let age = one.engine.now().as_second() - listed[0].created;
    assert!((-1..60).contains(&age), "{age}");
    let found = one.engine.list(&other.instance, Some).await.unwrap();
    assert_eq!(found.iter().map(|listed| &listed.id).collect::<Vec<_>>(), [&foreign]);
    assert_eq!(one.engine.list(&InstanceId::new("nobody"), Some).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_or_started_is_told_apart() {
    let bench = bench().await;
    let spec = bench.spec("true");
    let id = bench.engine.create(&spec).await.unwrap();
    let taken = EngineError::NameTaken { name: spec.name.clone() };
    assert_eq!(bench.engine.create(&spec).await, Err(taken));

    let mut spec = bench.spec("true");
    spec.image = "correction-runner-test/does-not-exist:1".to_owned();
    let missing = bench.engine.create(&spec).await.unwrap_err();
    assert!(matches!(&missing, EngineError::NoSuchImage { image, .. } if *image == spec.image), "{missing}");
    spec.image = "Not A Reference".to_owned();
    let refused = bench.engine.create(&spec).await.unwrap_err();
    assert!(matches!(refused, EngineError::NoSuchImage { .. }) && !refused.may_heal(), "{refused}");

    let mut spec = bench.spec("true");
    spec.file = "/no/such/file".to_owned();
    let missing = EngineError::MountMissing { path: spec.file.clone() };
    assert_eq!(bench.engine.create(&spec).await, Err(missing));
    assert!(!std::path::Path::new("/no/such").exists(), "the engine made no directory of it");

    let made = bench.engine.inspect(id.as_str()).await.unwrap().unwrap();
    std::fs::remove_file(bench.folder.path().join("submission-0")).unwrap();
    assert!(matches!(bench.engine.start(&made.id).await, Err(EngineError::MountMissing { .. })));

    let mut spec = bench.spec("true");
    spec.profile.network = "no-such-network".to_owned();
    let id = bench.engine.create(&spec).await.unwrap();
    let refused = bench.engine.start(&id).await.unwrap_err();
    assert!(matches!(refused, EngineError::BadRequest { .. }), "{refused}");
    assert_eq!(bench.engine.inspect("..").await.unwrap(), None);
    assert_eq!(bench.engine.inspect("a/b?c").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_exist_cannot_be_run() {
    let bench = bench().await;
    let mut spec = bench.spec("true");
    spec.image = docker::BAD_ENTRYPOINT_IMAGE.to_owned();
    spec.profile = Profile { hardened: false, network: "bridge".to_owned(), ..hardened() };
    let id = bench.engine.create(&spec).await.unwrap();
    let refused = bench.engine.start(&id).await.unwrap_err();
    assert!(matches!(refused, EngineError::CannotRun { .. }), "{refused}");
    let inspected = bench.engine.inspect(id.as_str()).await.unwrap().unwrap();
    assert_eq!(inspected.state, State::Created);
    assert!(!inspected.error.is_empty(), "a container that could not be started says so");

    // With an init process it starts, and that process says it.
    let mut spec = bench.spec("true");
    spec.image = docker::BAD_ENTRYPOINT_IMAGE.to_owned();
    let id = bench.engine.create(&spec).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    docker::command(&["wait", id.as_str()]).await;
    assert_eq!(bench.engine.inspect(id.as_str()).await.unwrap().unwrap().exit_code, 127);
    let output = bench.engine.output(&id, 1 << 10).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(output.stderr().unwrap()).into_owned();
    assert!(said.starts_with("[FATAL tini") && said.contains("/no/such/program"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hardened_profile_holds_and_the_original_one_lets_go() {
    const LOOK: &str = "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; (echo x >>/tmp/exercise) 2>&1 | grep -o 'Read-only'; \
        ls /sys/class/net | tr '\\n' ' '; cat /proc/1/comm; cat /proc/self/oom_score_adj";
    let bench = bench().await;
    let id = bench.ran(LOOK).await;
    let output = bench.engine.output(&id, 1 << 20).await.unwrap().unwrap();
    let seen = String::from_utf8_lossy(output.stdout().unwrap()).into_owned();
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Read-only", "lo docker-init", "500"] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    let mut spec = bench.spec(LOOK);
    spec.profile = Profile::unlimited();
    let id = bench.engine.create(&spec).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    docker::command(&["wait", id.as_str()]).await;
    let output = bench.engine.output(&id, 1 << 20).await.unwrap().unwrap();
    let seen = String::from_utf8_lossy(output.stdout().unwrap()).into_owned();
    assert!(seen.contains("NoNewPrivs:\t0") && !seen.contains("Read-only"), "{seen}");
    assert!(!seen.contains("CapEff:\t0000000000000000") && seen.contains("eth0"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_memory_is_told_as_such() {
    let bench = bench().await;
    // An engine that has not yet noted the start of a container does not note why it was killed.
    let mut spec = bench.spec("sleep 4; tail /dev/zero");
    spec.profile.memory = Some(16 << 20);
    let id = bench.engine.create(&spec).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    docker::command(&["wait", id.as_str()]).await;
    let inspected = bench.engine.inspect(id.as_str()).await.unwrap().unwrap();
    assert!(inspected.oom_killed, "{inspected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_read_to_its_end_and_not_kept() {
    let bench = bench().await;
    let id = bench.ran("yes 0123456789012345678901234567890123456789 | head -c 3000000; echo END").await;
    let output = bench.engine.output(&id, 10_000).await.unwrap().unwrap();
    assert_eq!(output.stdout(), None);
    assert!(output.was_cut());
    assert_eq!(output.total(), 3_000_004);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_terminal_is_stdout() {
    let bench = bench().await;
    let label = format!("{}={}", correction_runner::labels::INSTANCE_LABEL, bench.instance);
    let id = docker::command(&[
        "create",
        "-t",
        "--label",
        &label,
        "--network",
        "none",
        docker::GRADER_IMAGE,
        "echo",
        "hello",
    ])
    .await;
    docker::command(&["start", &id]).await;
    docker::command(&["wait", &id]).await;
    let output = bench.engine.output(&ContainerId::new(id), 1 << 10).await.unwrap().unwrap();
    assert_eq!(output.stdout(), Some("hello\r\n".as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_share_kept_alive_connections_and_one_negotiation() {
    let proxy = Proxy::to_engine().await;
    let bench = Bench::on(engine_at(proxy.socket())).await;
    for _ in 0..20 {
        bench.engine.ping().await.unwrap();
        bench.engine.list(&bench.instance, Some).await.unwrap();
        let id = bench.create("true").await;
        bench.engine.inspect(id.as_str()).await.unwrap();
        bench.engine.remove(&id, false).await.unwrap();
    }
    // One or two more than one: a connection is free again a moment after its answer is read.
    assert!(proxy.connections() <= 5, "{} connections for 100 calls", proxy.connections());
    assert_eq!(proxy.carried("GET /version "), 1);
}
