//! What can happen to the queues, as values that can be made by chance and shrunk.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::node::Version;

/// What kind of job is added.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Plain,
    Priority(u32),
    Delayed,
    Lifo,
}

/// How a taken job is settled.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// Kept among the completed ones, or gone at once.
    Complete { gone: bool },
    /// For good; or as BullMQ 5.12 fails one that stalled too often.
    Fail { over_stalled: bool },
    /// BullMQ counts it.
    RetryAttempt { delayed: bool },
    /// We count it.
    RetryFree { delayed: bool },
    /// Out of finished, untried; and called before its time.
    PutBack { called: bool },
    /// A start is tried again later, and its container may run after all.
    Doubted,
    /// Out of pending, to wait for an image.
    Aside,
    /// To the next queue; or from pending straight to finished.
    HandOver { straight: bool, gone: bool },
}

/// One thing that happens. A lane is one of the three queues.
#[derive(Clone, Debug)]
pub enum Operation {
    /// With an id of a few (so that it is often there already) or none; `again`: the reply was lost.
    Add {
        lane: usize,
        id: Option<u8>,
        kind: Kind,
        again: bool,
    },
    /// A producer of the other kind.
    NodeAdd {
        lane: usize,
        version: Version,
    },
    /// `woken`: by the marker, which is gone then. `limited`: with a limiter of 3 an hour. `lost`: nobody
    /// learns what was taken. `most`: how many containers may run, where they are counted.
    Take {
        lane: usize,
        count: usize,
        limited: bool,
        woken: bool,
        lost: bool,
        most: Option<usize>,
    },
    /// A rule has so many permits for a job that is held, or it is put aside.
    Admit {
        pick: Index,
        most: u32,
        again: bool,
    },
    /// Those who wait for an image.
    CallBack {
        count: usize,
    },
    /// `again`: the reply was lost, and the call is repeated.
    Settle {
        pick: Index,
        how: How,
        again: bool,
    },
    /// What was settled, lost or handed back before is settled again, long after.
    Late {
        pick: Index,
        how: How,
    },
    Renew {
        lane: usize,
    },
    /// A lock's time is over.
    Expire {
        pick: Index,
    },
    Recover {
        lane: usize,
    },
    HandBack {
        lane: usize,
        count: usize,
        as_stalled: bool,
        again: bool,
    },
    Log {
        lane: usize,
        pick: Index,
    },
    /// A waiting job is left as BullMQ 6 leaves one that stalled too often (`defa`), or with 5.12's count.
    Stalled {
        lane: usize,
        pick: Index,
        six: bool,
    },
    Revive {
        lane: usize,
    },
    /// A person's retry of an ended job in a dashboard.
    Retry {
        lane: usize,
        pick: Index,
        version: Version,
    },
    /// A delayed job's time has come.
    Due {
        lane: usize,
        pick: Index,
    },
    Pause {
        lane: usize,
        version: Version,
    },
    Resume {
        lane: usize,
        version: Version,
    },
    /// Waiting jobs stand in `paused` although the queue is not: 6.x moves 7,000 a resume.
    LeftOver {
        lane: usize,
    },
    Concurrency {
        lane: usize,
        most: Option<usize>,
    },
    /// The limiter's window is over.
    OpenLimiter {
        lane: usize,
    },
    Wake {
        lane: usize,
    },
    /// Jobs in no list are found and put back.
    BringBack {
        lane: usize,
    },
    /// Where all corrections stand that were ever taken.
    Standing,
    /// A sweep finishes a correction of which it has only the container.
    FinishOrphan {
        pick: Index,
        again: bool,
    },
    /// A person cancels a pending job; `forget`: without a result.
    Cancel {
        pick: Index,
        again: bool,
        forget: bool,
    },
    /// A person cancels a running job.
    Mark {
        pick: Index,
        again: bool,
    },
    /// The installation gets its id.
    SettleIn,
    Reset,
    ScriptFlush,
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::Five), Just(Version::Six)]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Plain),
        2 => (1_u32..4).prop_map(Kind::Priority),
        2 => Just(Kind::Delayed),
        1 => Just(Kind::Lifo),
    ]
}

fn how() -> impl Strategy<Value = How> {
    let one_in_five = || prop::bool::weighted(0.2);
    prop_oneof![
        2 => one_in_five().prop_map(|gone| How::Complete { gone }),
        2 => any::<bool>().prop_map(|over_stalled| How::Fail { over_stalled }),
        1 => any::<bool>().prop_map(|delayed| How::RetryAttempt { delayed }),
        1 => any::<bool>().prop_map(|delayed| How::RetryFree { delayed }),
        1 => any::<bool>().prop_map(|called| How::PutBack { called }),
        1 => Just(How::Doubted),
        1 => Just(How::Aside),
        5 => (one_in_five(), one_in_five()).prop_map(|(straight, gone)| How::HandOver { straight, gone }),
    ]
}

/// Something that happens, by chance. Pending comes first: what happens there fills the others.
pub fn operation() -> impl Strategy<Value = Operation> {
    use Operation as Op;
    let lane = || prop_oneof![4 => Just(0_usize), 3 => Just(1), 2 => Just(2)];
    let pick = any::<Index>;
    let rarely = || prop::bool::weighted(0.15);
    let common = prop_oneof![
        16 => (lane(), prop::option::weighted(0.8, 0_u8..12), kind(), rarely())
            .prop_map(|(lane, id, kind, again)| Op::Add { lane, id, kind, again }),
        20 => (lane(), 1_usize..5, rarely(), any::<bool>(), rarely(), prop::option::of(1_usize..5))
            .prop_map(|(lane, count, limited, woken, lost, most)| {
                Op::Take { lane, count, limited, woken, lost, most }
            }),
        3 => (pick(), 1_u32..4, any::<bool>()).prop_map(|(pick, most, again)| Op::Admit { pick, most, again }),
        24 => (pick(), how(), any::<bool>()).prop_map(|(pick, how, again)| Op::Settle { pick, how, again }),
        5 => (pick(), how()).prop_map(|(pick, how)| Op::Late { pick, how }),
        2 => lane().prop_map(|lane| Op::Renew { lane }),
        6 => pick().prop_map(|pick| Op::Expire { pick }),
        6 => lane().prop_map(|lane| Op::Recover { lane }),
        3 => (lane(), 1_usize..5, any::<bool>(), any::<bool>())
            .prop_map(|(lane, count, as_stalled, again)| Op::HandBack { lane, count, as_stalled, again }),
    ];
    let others = prop_oneof![
        1 => (lane(), pick()).prop_map(|(lane, pick)| Op::Log { lane, pick }),
        2 => (lane(), pick(), any::<bool>()).prop_map(|(lane, pick, six)| Op::Stalled { lane, pick, six }),
        3 => lane().prop_map(|lane| Op::Revive { lane }),
        4 => (lane(), pick(), version()).prop_map(|(lane, pick, version)| Op::Retry { lane, pick, version }),
        4 => (lane(), pick()).prop_map(|(lane, pick)| Op::Due { lane, pick }),
        2 => lane().prop_map(|lane| Op::OpenLimiter { lane }),
        2 => lane().prop_map(|lane| Op::Wake { lane }),
        2 => Just(Op::Standing),
        2 => (1_usize..4).prop_map(|count| Op::CallBack { count }),
        3 => (pick(), any::<bool>()).prop_map(|(pick, again)| Op::FinishOrphan { pick, again }),
        6 => (pick(), any::<bool>(), rarely()).prop_map(|(pick, again, forget)| Op::Cancel { pick, again, forget }),
        3 => (pick(), any::<bool>()).prop_map(|(pick, again)| Op::Mark { pick, again }),
        2 => Just(Op::SettleIn),
        1 => Just(Op::ScriptFlush),
    ];
    let settings = prop_oneof![
        6 => (lane(), version()).prop_map(|(lane, version)| Op::NodeAdd { lane, version }),
        5 => (lane(), version()).prop_map(|(lane, version)| Op::Pause { lane, version }),
        7 => (lane(), version()).prop_map(|(lane, version)| Op::Resume { lane, version }),
        2 => (lane(), prop::option::of(1_usize..4)).prop_map(|(lane, most)| Op::Concurrency { lane, most }),
        8 => lane().prop_map(|lane| Op::LeftOver { lane }),
        3 => lane().prop_map(|lane| Op::BringBack { lane }),
    ];
    prop_oneof![70 => common, 20 => others, 14 => settings, 1 => Just(Op::Reset)]
}
