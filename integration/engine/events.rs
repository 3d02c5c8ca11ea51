//! The event stream of the real engine, through a proxy that breaks.

use std::time::Duration;

use correction_runner::docker::{Notice, Outage, Rhythm, Watch};
use correction_runner::identity::{ContainerId, CorrectionId, InstanceId, JobId};
use correction_runner::job::Errand;
use correction_runner::labels::Labels;
use jiff::Timestamp;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Bench, engine_at, impatient_engine_at};
use crate::support::proxy::{Mode, Proxy};

const PATIENCE: Duration = Duration::from_secs(60);

/// What is waited for and must not come.
const A_WHILE: Duration = Duration::from_millis(300);

struct Followed {
    proxy: Proxy,
    bench: Bench,
    watch: Watch,
}

/// A death as a test looks at it.
type Death = (Option<i64>, Option<InstanceId>);

impl Followed {
    async fn start(rhythm: Rhythm) -> Self {
        let proxy = Proxy::to_engine().await;
        let bench = Bench::on(engine_at(crate::support::proxy::ENGINE_SOCKET)).await;
        let engine = impatient_engine_at(proxy.socket(), Duration::from_secs(1));
        let watch = Watch::with_rhythm(&engine, &CancellationToken::new(), rhythm).unwrap();
        let followed = Self { proxy, bench, watch };
        assert_eq!(followed.resync().await, None, "the first notice is to look at everything");
        followed
    }

    /// Waits for a `Resync`, whatever else is told before.
    async fn resync(&self) -> Option<Outage> {
        let resync = async {
            loop {
                if let Notice::Resync { outage } = self.watch.next().await {
                    return outage;
                }
            }
        };
        timeout(PATIENCE, resync).await.expect("a Resync comes")
    }

    /// Waits for the stream to be told broken, which comes before any `Resync`.
    async fn broken(&self) -> Timestamp {
        let broken = async {
            loop {
                match self.watch.next().await {
                    Notice::Broken { from } => return from,
                    Notice::Resync { outage } => panic!("no break was told: {outage:?}"),
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, broken).await.expect("it is told")
    }

    /// Waits for what is told of a container; everything else about other containers is passed over, and
    /// a break or a `Resync` is not.
    async fn told(&self, container: &ContainerId) -> Notice {
        let told = async {
            loop {
                match self.watch.next().await {
                    notice @ (Notice::Resync { .. } | Notice::Broken { .. }) => {
                        panic!("nothing broke: {notice:?}")
                    }
                    Notice::Died { container: other, .. }
                    | Notice::Oom { container: other }
                    | Notice::Destroyed { container: other }
                        if other != *container => {}
                    notice => return notice,
                }
            }
        };
        timeout(PATIENCE, told).await.expect("it is told")
    }

    async fn death(&self, container: &ContainerId) -> Death {
        match self.told(container).await {
            Notice::Died { exit_code, instance, at, .. } => {
                let age = self.bench.engine.now().duration_since(at);
                assert!(age.abs().as_secs() < 60, "{age}");
                (exit_code, instance)
            }
            other => panic!("{other:?}"),
        }
    }

    /// That nothing (more) is told of a container.
    async fn nothing_of(&self, container: &ContainerId) {
        let told = timeout(A_WHILE, self.told(container)).await;
        assert!(told.is_err(), "{told:?}");
    }
}

fn quick() -> Rhythm {
    Rhythm {
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_millis(100),
        ..Rhythm::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_is_told_with_its_code_and_installation_and_a_removal_after_it() {
    let followed = Followed::start(Rhythm::default()).await;
    let mut spec = followed.bench.spec("exit 3");
    let instance = followed.bench.instance.clone();
    let (job, attempt) = (JobId::new("ñ \"1\""), String::new());
    let labels = Labels {
        correction: CorrectionId::derive(&instance, &job, 1, 0),
        instance: instance.clone(),
        job,
        name: "Correction".to_owned(),
        timestamp: 1,
        generation: 0,
        attempt,
        timeout_ms: 0,
        disk: None,
        errand: Errand::default(),
        rerun: None,
        seal: None,
    };
    spec.labels = labels.to_map();
    let container = followed.bench.engine.create(&spec).await.unwrap();
    followed.bench.engine.start(&container).await.unwrap();
    assert_eq!(followed.death(&container).await, (Some(3), Some(instance)));
    followed.bench.engine.remove(&container, false).await.unwrap();
    assert_eq!(followed.told(&container).await, Notice::Destroyed { container: container.clone() });
    followed.watch.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn want_of_memory_is_told_before_the_death() {
    let followed = Followed::start(Rhythm::default()).await;
    let mut spec = followed.bench.spec("tail /dev/zero");
    spec.profile.memory = Some(16 << 20);
    let container = followed.bench.engine.create(&spec).await.unwrap();
    followed.bench.engine.start(&container).await.unwrap();
    assert_eq!(followed.told(&container).await, Notice::Oom { container: container.clone() });
    followed.death(&container).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_while_the_stream_is_cut_is_told_once_it_is_back() {
    let followed = Followed::start(quick()).await;
    let before = followed.bench.ran("exit 1").await;
    followed.death(&before).await;
    followed.proxy.set(Mode::Cut);
    let from = followed.broken().await;
    let container = followed.bench.ran("exit 5").await;
    let gone = followed.bench.engine.now();
    followed.proxy.set(Mode::Open);
    let outage = followed.resync().await.expect("the stream was broken");
    assert_eq!(outage.from, from, "the outage is the one that was told to begin");
    assert!(
        outage.from < gone && gone <= outage.to.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap()
    );
    assert_eq!(followed.death(&container).await.0, Some(5));
    followed.nothing_of(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_takes_over_leaves_no_gap_and_repeats_nothing() {
    let rhythm = Rhythm {
        lifetime: Duration::from_millis(1200),
        overlap: Duration::from_millis(400),
        ..Rhythm::default()
    };
    let followed = Followed::start(rhythm).await;
    let mut containers = Vec::new();
    while followed.proxy.carried("/events?") < 4 {
        containers.push(followed.bench.ran("exit 9").await);
    }
    for container in &containers {
        assert_eq!(followed.death(container).await.0, Some(9));
    }
    followed.nothing_of(&containers[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_falls_silent_is_noticed() {
    let rhythm =
        Rhythm { lifetime: Duration::from_millis(600), overlap: Duration::from_millis(200), ..quick() };
    let followed = Followed::start(rhythm).await;
    followed.proxy.set(Mode::Silent);
    let silent = followed.bench.engine.now();
    let container = followed.bench.ran("exit 4").await;
    // Long enough for the stream to be given up: the next one is asked for again and again, in vain.
    let gone = followed.proxy.connections();
    let more = async {
        while followed.proxy.connections() < gone + 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, more).await.expect("it is tried again");
    followed.proxy.set(Mode::Open);
    let outage = followed.resync().await.expect("the stream was broken");
    assert!(outage.from <= silent.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap(), "{outage:?}");
    assert_eq!(followed.death(&container).await.0, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_at_first_is_followed_once_it_is_there() {
    let proxy = Proxy::to_engine().await;
    proxy.set(Mode::Cut);
    let engine = impatient_engine_at(proxy.socket(), Duration::from_secs(1));
    let watch = Watch::with_rhythm(&engine, &CancellationToken::new(), quick()).unwrap();
    assert!(timeout(A_WHILE, watch.next()).await.is_err());
    proxy.set(Mode::Open);
    let notice = timeout(PATIENCE, watch.next()).await.expect("it is followed");
    assert_eq!(notice, Notice::Resync { outage: None });
    watch.close().await;
}
