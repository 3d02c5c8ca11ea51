//! A model of the state machine's surroundings: containers that live and die, an engine that answers,
//! late or not at all, in any order; and what must hold whatever happens.

mod bench;

use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use self::bench::Bench;

/// How many containers there are.
const CONTAINERS: usize = 4;

/// The truth about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Created,
    /// Since this time.
    Running(Duration),
    Exited,
    Gone,
}

/// A container as it is, whoever knows.
#[derive(Clone, Copy, Debug)]
struct Container {
    truth: Truth,
    /// Whether it ever ran and ended: only then the engine tells of a death.
    died: bool,
}

/// The surroundings: all that the state machine may learn of, in its time or late.
#[derive(Clone, Debug)]
struct World {
    /// Since the beginning.
    now: Duration,
    containers: [Container; CONTAINERS],
    /// How many takes there were.
    takes: u64,
}

/// How an effect is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// By what is true now.
    Now,
    /// By what was true when it began.
    Stale,
    /// Something was away.
    Failed,
    /// It panicked.
    Panicked,
}

/// Something that happens. `pick` chooses among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Take { container: usize, timeout: Option<u64>, look: bool },
    Start(usize),
    Die(usize),
    Remove(usize),
    TellDeath { container: usize, code: Option<i64>, ours: bool },
    TellRemoval(usize),
    Answer { pick: usize, how: Answer },
    Stray { ticket: u64, how: Answer },
    List { lags: bool, omits: bool },
    LoseLock { pick: usize },
    Cancel { pick: usize },
    Wait { milliseconds: u64 },
}

impl World {
    fn end(&mut self, container: usize) {
        self.containers[container] = Container { truth: Truth::Exited, died: true };
    }
}

impl ReferenceStateMachine for World {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let truth = prop_oneof![Just(Truth::Created), Just(Truth::Running(Duration::ZERO))];
        let container = truth.prop_map(|truth| Container { truth, died: false });
        proptest::array::uniform4(container)
            .prop_map(|containers| Self { now: Duration::ZERO, containers, takes: 0 })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let one = 0..CONTAINERS;
        let how = prop_oneof![
            6 => Just(Answer::Now),
            2 => Just(Answer::Stale),
            1 => Just(Answer::Failed),
            1 => Just(Answer::Panicked),
        ];
        let timeout = proptest::option::weighted(0.7, prop_oneof![Just(5_u64), Just(60)]);
        prop_oneof![
            4 => (one.clone(), timeout, any::<bool>())
                .prop_map(|(container, timeout, look)| Step::Take { container, timeout, look }),
            1 => one.clone().prop_map(Step::Start),
            2 => one.clone().prop_map(Step::Die),
            1 => one.clone().prop_map(Step::Remove),
            3 => (one.clone(), proptest::option::of(Just(0_i64)), proptest::bool::weighted(0.8))
                .prop_map(|(container, code, ours)| Step::TellDeath { container, code, ours }),
            2 => one.prop_map(Step::TellRemoval),
            10 => (any::<usize>(), how.clone()).prop_map(|(pick, how)| Step::Answer { pick, how }),
            1 => (0..20_u64, how).prop_map(|(ticket, how)| Step::Stray { ticket, how }),
            2 => any::<(bool, bool)>().prop_map(|(lags, omits)| Step::List { lags, omits }),
            1 => any::<usize>().prop_map(|pick| Step::LoseLock { pick }),
            1 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
            // Now and then one ends just before, or just at, a deadline.
            6 => prop_oneof![0..1500_u64, 4000..70_000_u64, Just(1000), Just(3000), Just(4999)]
                .prop_map(|milliseconds| Step::Wait { milliseconds }),
        ]
        .boxed()
    }

    fn preconditions(world: &Self, step: &Step) -> bool {
        let truth = |container: &usize| world.containers[*container].truth;
        match step {
            Step::Take { container, .. } => truth(container) != Truth::Gone || world.takes < 12,
            Step::Start(container) => truth(container) == Truth::Created,
            Step::Die(container) => matches!(truth(container), Truth::Running(_)),
            Step::Remove(container) => matches!(truth(container), Truth::Created | Truth::Exited),
            Step::TellDeath { container, .. } => world.containers[*container].died,
            Step::TellRemoval(container) => truth(container) == Truth::Gone,
            _ => true,
        }
    }

    fn apply(mut world: Self, step: &Step) -> Self {
        match step {
            Step::Take { .. } => world.takes += 1,
            Step::Start(container) => world.containers[*container].truth = Truth::Running(world.now),
            Step::Die(container) => world.end(*container),
            Step::Remove(container) => world.containers[*container].truth = Truth::Gone,
            Step::Wait { milliseconds } => world.now += Duration::from_millis(*milliseconds),
            _ => {}
        }
        world
    }
}

struct Machine;

impl StateMachineTest for Machine {
    type SystemUnderTest = Bench;
    type Reference = World;

    fn init_test(_: &World) -> Bench {
        Bench::new()
    }

    fn apply(mut bench: Bench, world: &World, step: Step) -> Bench {
        bench.apply(world, step);
        bench
    }

    fn check_invariants(bench: &Bench, world: &World) {
        bench.check(world);
    }

    /// From here on the surroundings are fair: all ends, all is answered, lists are made and are right.
    fn teardown(mut bench: Bench, mut world: World) {
        for container in 0..CONTAINERS {
            if world.containers[container].truth != Truth::Gone {
                world.end(container);
            }
        }
        bench.drive_to_the_end(&mut world);
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_of_events_each_end_is_finished_once_and_nothing_is_forgotten(sequential 1..100 => Machine);
}
