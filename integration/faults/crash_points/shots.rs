//! Which process is to die where, and at which pass: the points of each component, in chains.

use std::collections::VecDeque;

use correction_runner::crash_points::Point;

/// One death: where, and at which pass since the process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shot {
    /// Where.
    pub point: Point,
    /// At which pass.
    pub pass: u32,
}

/// The deaths of one component's processes, one after the other.
pub type Chain = VecDeque<Shot>;

/// A chain of deaths, all at the same pass where it comes about so often in the life of one process.
pub fn chain(points: &[Point], pass: u32) -> Chain {
    let most = |point: &Point| match point {
        Point::WorkerRecovered | Point::WorkerReleased => 1,
        Point::StarterResolved | Point::StarterReplaced => 2,
        _ => u32::MAX,
    };
    points.iter().map(|point| Shot { point: *point, pass: pass.min(most(point)) }).collect()
}

/// The chains of the components of one system: the process's name, and where it dies.
pub type Chains = Vec<(&'static str, Vec<Point>)>;

/// Three systems in which, together, a process of each component dies at each of its points; those last
/// that only a job recovered from an earlier death leads to.
pub fn of_components() -> [Chains; 3] {
    use Point as P;
    [
        vec![
            (
                "starter",
                vec![
                    P::StarterCreated,
                    P::StarterTaken,
                    P::StarterCreating,
                    P::StarterPulled,
                    P::StarterStarted,
                    P::StarterHandedOver,
                    P::StarterCreated,
                    P::StarterResolved,
                ],
            ),
            (
                "completer",
                vec![
                    P::CompleterTaken,
                    P::CompleterInspected,
                    P::CompleterCollected,
                    P::CompleterHandedOver,
                    P::CompleterRefused,
                    P::CompleterUnpaused,
                    P::CompleterRerunning,
                    P::WorkerRecovered,
                ],
            ),
            (
                "notifier",
                vec![P::NotifierTaken, P::NotifierAnswered, P::NotifierSettled, P::NotifierAnswered],
            ),
        ],
        vec![
            (
                "starter",
                vec![
                    P::StarterCreated,
                    P::StarterDoubted,
                    P::StarterCreated,
                    P::StarterRefusing,
                    P::StarterRefused,
                    P::StarterCleaned,
                    P::StarterCreated,
                    P::StarterReplaced,
                ],
            ),
            (
                "completer",
                vec![
                    P::SweepListed,
                    P::SweepExamined,
                    P::CompleterRemoving,
                    P::CompleterRemoved,
                    P::CompleterKilled,
                    P::CompleterReran,
                    P::WorkerReleased,
                ],
            ),
            ("notifier", vec![P::NotifierPosting, P::NotifierLogged, P::WorkerTook, P::NotifierSettled]),
        ],
        vec![
            (
                "starter",
                vec![
                    P::WorkerTook,
                    P::StarterSealed,
                    P::StarterPostponing,
                    P::StarterPostponed,
                    P::StarterTaken,
                    P::WorkerRecovered,
                ],
            ),
            (
                "completer",
                vec![
                    P::WorkerTook,
                    P::CompleterHandedOver,
                    P::WorkerRenewed,
                    P::CompleterCollected,
                    P::ExercisesDeleted,
                ],
            ),
            ("notifier", vec![P::NotifierAnswered, P::NotifierTaken, P::WorkerRecovered]),
        ],
    ]
}

/// The points that need a system of their own.
pub const APART: [Point; 4] =
    [Point::CompleterPassedOn, Point::SweepKilled, Point::OrphanCollected, Point::OrphanFinished];

/// The whole runner in one process dies at each point that [`of_components`] has, in so many systems.
pub fn of_the_whole(systems: usize) -> Vec<Chains> {
    let mut points: Vec<Point> = Vec::new();
    for (_, chain) in of_components().into_iter().flatten() {
        points.extend(chain);
    }
    points.sort_unstable();
    points.dedup();
    // What only a recovered job leads to comes last, after the deaths that leave something to recover.
    let late = |point: &Point| {
        matches!(point, Point::StarterResolved | Point::StarterReplaced | Point::WorkerRecovered)
    };
    let (last, first): (Vec<_>, Vec<_>) = points.into_iter().partition(late);
    let share = |points: &[Point], system: usize| -> Vec<Point> {
        points.iter().copied().skip(system).step_by(systems).collect()
    };
    let of = |system| {
        let mut chain = vec![Point::StarterCreated, Point::StarterCreated];
        chain.extend(share(&first, system));
        chain.push(Point::StarterCreated);
        chain.extend(share(&last, system));
        vec![("all", chain)]
    };
    (0..systems).map(of).collect()
}

#[test]
fn every_point_there_is_has_its_deaths() {
    let mut covered: Vec<Point> =
        of_components().into_iter().flatten().flat_map(|(_, chain)| chain).chain(APART).collect();
    covered.sort_unstable();
    covered.dedup();
    let missing: Vec<_> = Point::ALL.iter().filter(|point| !covered.contains(point)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let mut whole: Vec<Point> = of_the_whole(4).into_iter().flatten().flat_map(|(_, chain)| chain).collect();
    whole.extend(APART);
    whole.sort_unstable();
    whole.dedup();
    assert_eq!(whole, covered);
}
