//! Random operations on the three real queues, step by step beside a model; what fails is shrunk.
//!
//! After each step: each job in exactly one place, in its order; each lock the holder's; nobody idle
//! while work waits; the events tell what happened; each correction reached finished at most once.

mod cancelling;
mod happenings;
mod lane;
mod observed;
mod operation;
mod permits;
mod taken;
mod world;

use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::support::node::{Node, Version};
use crate::support::redis::RedisServer;
use operation::{How, Operation, operation};
use world::World;

/// Runs so many cases of up to so many operations.
fn cases_hold(cases: u32, operations: usize) {
    let server = RedisServer::start(&[]);
    let nodes = [Node::start(Version::Five, &server), Node::start(Version::Six, &server)];
    let redis = server.client(World::prefix());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = Config { cases, max_shrink_iters: 1000, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&vec(operation(), 1..operations), |operations| {
        runtime.block_on(async {
            let mut world = World::empty(&server, &redis, &nodes);
            for operation in operations {
                let with_events = world.happen(operation).await;
                world.check(with_events).await;
            }
            wind_up(&mut world).await;
        });
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Whatever happened: once everything is open again and time has passed, each job comes to its end.
async fn wind_up(world: &mut World<'_>) {
    world.check_counts_of_node().await;
    for lane in 0..3 {
        world.node(Version::Six, lane, "queue", json!({ "method": "resume" })).await;
        world.lanes[lane].resume_by_six();
        world.happen(Operation::Concurrency { lane, most: None }).await;
        world.happen(Operation::OpenLimiter { lane }).await;
        for id in world.lanes[lane].later.clone() {
            world.make_due(lane, &id);
        }
        while world.expire_one() {}
        world.recover(lane).await;
        world.bring_back(lane).await;
        loop {
            world.take(lane, 7, false, false, false, None).await;
            if world.held.is_empty() && world.lanes[lane].active.is_empty() {
                break;
            }
            while !world.held.is_empty() {
                world.settle(0, How::Complete { gone: false }, false).await;
            }
        }
        let model = &world.lanes[lane];
        let ended = model.completed.len() + model.failed.len();
        assert_eq!(ended, model.jobs.len(), "jobs that never end");
    }
    world.check(false).await;
}

#[test]
fn whatever_is_done_every_job_is_in_exactly_the_one_place_it_should_be() {
    cases_hold(100, 100);
}

#[test]
#[ignore = "long: make faults"]
fn whatever_is_done_many_thousand_times_over_every_job_is_in_its_one_place() {
    cases_hold(500, 300);
}
