//! Permits to have containers running: so many on an engine, and so many of a rule there, whoever starts them.
//!
//! A permit is taken by the very script that takes a job, and given up by the one that ends it
//! (`scripts/shared/permits.lua`): whoever dies in between leaves job and permit together, and whoever takes the
//! job again has its permit. What no script of ours sees is made good by [`Redis::reconcile`]: jobs that a person
//! removed, or that another client's completer ended, and containers of which Redis forgot that they run.
//!
//! Keys: `<prefix>:correction-runner:running:<engine>` is the set of an engine, with `:rule:<rule>` that of a rule.
//! Who waits for a permit of a rule, or for an image, stands in a set of that name with `:aside`, and is a delayed
//! job as other clients see it. Workers that wait for room on an engine wait for `…:marker` and not for the queue's.

use std::time::Duration;

use deadpool_redis::redis;

use super::operations::now_ms;
use super::options::millis;
use super::{Queue, QueueError, Redis, Settled, TakenJob, scripts};
use crate::identity::{CorrectionId, EngineId, JobId};
use crate::job::{PENDING_QUEUE, RUNNING_QUEUE};

/// How long a permit is left alone that nothing stands behind.
const GRACE: Duration = Duration::from_secs(10);
/// Permits of running corrections have this added to their time (`scripts/shared/permits.lua`).
const RUNNING_SINCE: u64 = 100_000_000_000_000;
/// Jobs that are called back in one call.
const BATCH: usize = 500;

/// How many containers may run on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct House {
    /// Where.
    pub engine: EngineId,
    /// How many at once, at least 1.
    pub most: u32,
}

/// How many containers of a rule may run on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Where.
    pub engine: EngineId,
    /// The rule's name.
    pub rule: String,
    /// How many at once, at least 1.
    pub most: u32,
}

/// Where jobs stand that wait for one and the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside(String);

/// What came of asking for a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The job has one.
    In,
    /// There is none: the job was put aside, and is called back when there is.
    PutAside,
    /// The job's lock is not ours any more.
    Lost,
    /// There is none, and a person cancelled the job; nothing was changed.
    Cancelled,
}

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// Its correction.
    pub correction: CorrectionId,
    /// The pending job that it was started for.
    pub job: JobId,
}

/// What a comparison of permits with containers changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Permits that nothing stood behind.
    pub dropped: usize,
    /// Containers that ran without one.
    pub added: usize,
}

impl Queue {
    /// Gives a taken job a permit of a rule, or else puts it aside, for `at_most` if nobody calls it back. May
    /// be called again after an error.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn admit(
        &self,
        job: &TakenJob,
        bound: &Bound,
        at_most: Duration,
    ) -> Result<Admitted, QueueError> {
        let mut call = scripts::ADMIT.key(&*self.base);
        call.key(self.redis.rule_key(&bound.engine, &bound.rule));
        call.arg(job.id.as_str()).arg(job.token.as_str()).arg(now_ms());
        call.arg(bound.most).arg(millis(at_most));
        let answer: String = self.redis.script("admit", &call).await?;
        let admitted = match answer.as_str() {
            "in" => Admitted::In,
            "aside" => Admitted::PutAside,
            "lost" => Admitted::Lost,
            "cancelled" => return Ok(Admitted::Cancelled),
            other => return Err(self.redis.bad_reply("admit", other)),
        };
        if admitted != Admitted::In {
            job.settlement.settle();
        }
        Ok(admitted)
    }

    /// Puts a taken job aside until it is called back, or for `at_most`. Where that time `counts`, it is added to
    /// the time that the job was tried for. May be called again after an error.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn put_aside(
        &self,
        job: &TakenJob,
        aside: &Aside,
        at_most: Duration,
        counts: bool,
    ) -> Result<Settled, QueueError> {
        let mut call = scripts::ASIDE.key(&*self.base);
        call.key(&aside.0).arg(job.id.as_str()).arg(job.token.as_str());
        call.arg(now_ms()).arg(millis(at_most)).arg(u8::from(counts));
        self.settle("put aside", job, &call).await
    }

    /// Puts jobs that stand aside in front of the line, those first that were added first; at most so many.
    /// Answers how many.
    ///
    /// # Errors
    /// Redis cannot be asked; some may have been called back.
    pub async fn call_back(&self, aside: &Aside, most: usize) -> Result<usize, QueueError> {
        let mut count = 0;
        while count < most {
            let mut call = scripts::CALL_BACK.key(&*self.base);
            call.key(&aside.0).arg(BATCH.min(most - count));
            let called = self.redis.script::<usize>("call back", &call).await?;
            count += called;
            if called == 0 {
                break;
            }
        }
        Ok(count)
    }
}

impl Redis {
    /// How many permits of an engine are out.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn permits(&self, engine: &EngineId) -> Result<u64, QueueError> {
        self.command("count permits", redis::cmd("ZCARD").arg(self.house_key(engine))).await
    }

    /// How many permits of an engine are out, and how many of these are of containers that are being started.
    pub(super) async fn permits_by_stage(&self, engine: &EngineId) -> Result<(u64, u64), QueueError> {
        let starting = redis::cmd("ZCOUNT")
            .arg(self.house_key(engine))
            .arg("-inf")
            .arg(format!("({RUNNING_SINCE}"))
            .clone();
        Ok((self.permits(engine).await?, self.command("count permits", &starting).await?))
    }

    /// Compares the permits of an engine with its containers that run: drops those that neither a container nor an
    /// open job stands behind, and adds those that are missing.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn reconcile(&self, engine: &EngineId, living: &[Living]) -> Result<Reconciled, QueueError> {
        self.compare(self.house_key(engine), "house", living).await
    }

    /// The same for the permits of a rule.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn reconcile_rule(
        &self,
        engine: &EngineId,
        rule: &str,
        living: &[Living],
    ) -> Result<Reconciled, QueueError> {
        self.compare(self.rule_key(engine, rule), "rule", living).await
    }

    async fn compare(
        &self,
        key: String,
        kind: &'static str,
        living: &[Living],
    ) -> Result<Reconciled, QueueError> {
        let mut call = scripts::RECONCILE.key(key);
        call.key(self.base_key(PENDING_QUEUE)).key(self.base_key(RUNNING_QUEUE)).key(self.done_keys());
        call.arg(now_ms()).arg(kind).arg(millis(GRACE));
        for Living { correction, job } in living {
            call.arg(correction.as_str()).arg(job.as_str());
        }
        let (dropped, added) = self.script("reconcile permits", &call).await?;
        Ok(Reconciled { dropped, added })
    }

    /// Where the jobs of an image stand that cannot be started for the time being.
    #[must_use]
    pub fn aside_for_image(&self, engine: &EngineId, image: &str) -> Aside {
        Aside(format!("{}:image:{image}:aside", self.house_key(engine)))
    }

    /// What the keys start with that hold permits and those who wait for them.
    pub(super) fn permits_keys(&self) -> String {
        self.own_key("running:")
    }

    /// The permits of an engine.
    pub(super) fn house_key(&self, engine: &EngineId) -> String {
        format!("{}{engine}", self.permits_keys())
    }

    /// What workers wait for that wait for room on an engine.
    pub(super) fn house_marker(&self, engine: &EngineId) -> String {
        format!("{}:marker", self.house_key(engine))
    }

    fn rule_key(&self, engine: &EngineId, rule: &str) -> String {
        format!("{}:rule:{rule}", self.house_key(engine))
    }
}
