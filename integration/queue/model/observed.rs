//! What Redis really holds, beside what the model says.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_redis::redis;

use super::lane::Lane;

/// The fields of a job's hash that are compared.
const FIELDS: [&str; 11] = [
    "data",
    "gen",
    "stc",
    "stalledCounter",
    "atm",
    "ats",
    "retries",
    "ended-by",
    "handed-by",
    "defa",
    "failedReason",
];

/// All of a queue in one look. KEYS: base. ARGV: the last event that was seen, then the fields.
const LOOK: &str = "
    local base = KEYS[1]
    local answer = {}
    for index, list in ipairs({ 'wait', 'paused', 'active' }) do
      answer[index] = redis.call('LRANGE', base .. list, 0, -1)
    end
    for _, set in ipairs({ 'prioritized', 'delayed', 'completed', 'failed', 'marker' }) do
      answer[#answer + 1] = redis.call('ZRANGE', base .. set, 0, -1)
    end
    local events, last = {}, ARGV[1]
    for _, entry in ipairs(redis.call('XRANGE', base .. 'events', '(' .. last, '+')) do
      last = entry[1]
      local of = {}
      for at = 1, #entry[2], 2 do of[entry[2][at]] = entry[2][at + 1] end
      events[#events + 1] = of.event .. ' ' .. (of.jobId or '')
    end
    answer[#answer + 1] = events
    answer[#answer + 1] = { last, tostring(redis.call('HEXISTS', base .. 'meta', 'paused')) }
    local jobs = {}
    for _, key in ipairs(redis.call('KEYS', base .. '*')) do
      local id = string.sub(key, #base + 1)
      if string.sub(id, -5) == ':lock' then
        jobs[#jobs + 1] = { string.sub(id, 1, -6), 'lock', redis.call('GET', key) }
      elseif redis.call('TYPE', key).ok == 'hash' and id ~= 'meta' then
        local job = { id }
        for at = 2, #ARGV do
          local value = redis.call('HGET', key, ARGV[at])
          if value then
            job[#job + 1] = ARGV[at]
            job[#job + 1] = value
          end
        end
        jobs[#jobs + 1] = job
      end
    end
    answer[#answer + 1] = jobs
    return answer";

type Lists = [Vec<String>; 8];

/// What one look gave.
#[derive(Debug)]
pub struct Observed {
    lists: Lists,
    pub events: Vec<String>,
    pub last_event: String,
    is_paused: bool,
    jobs: BTreeMap<String, BTreeMap<String, String>>,
}

pub fn look(connection: &mut redis::Connection, base: &str, last_event: &str) -> Observed {
    let script = redis::Script::new(LOOK);
    let mut call = script.key(base);
    call.arg(last_event).arg(&FIELDS);
    let parts: Vec<redis::Value> = call.invoke(connection).expect("an answer");
    let mut parts = parts.into_iter();
    let mut list = || redis::from_redis_value::<Vec<String>>(parts.next().expect("a part")).expect("texts");
    let lists = std::array::from_fn(|_| list());
    let (events, mut state) = (list(), list().into_iter());
    let (last_event, paused) = (state.next().expect("an id"), state.next().expect("a flag"));
    let found: Vec<Vec<String>> = redis::from_redis_value(parts.next().expect("jobs")).expect("texts");
    let mut jobs: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for job in found {
        let (id, fields) = job.split_first().expect("an id");
        let entry = jobs.entry(id.clone()).or_default();
        entry.extend(fields.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
    }
    Observed { lists, events, last_event, is_paused: paused == "1", jobs }
}

impl Observed {
    /// Each job is in the one place where it should be, as it should be, and whoever can take it knows.
    pub fn compare(&self, name: &str, lane: &Lane, with_events: bool) {
        let [wait, paused, active, prioritized, delayed, completed, failed, marker] = &self.lists;
        assert_eq!(wait, &lane.wait, "{name}: wait");
        assert_eq!(paused, &lane.paused, "{name}: paused");
        assert_eq!(active, &lane.active, "{name}: active");
        let expected: Vec<_> = lane.prioritized.iter().map(|(.., id)| id.clone()).collect();
        assert_eq!(prioritized, &expected, "{name}: prioritized");
        assert_eq!(delayed, &[&lane.due[..], &lane.later[..]].concat(), "{name}: delayed");
        let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(set(completed), lane.completed, "{name}: completed");
        assert_eq!(set(failed), lane.failed, "{name}: failed");
        assert_eq!(self.is_paused, lane.is_paused, "{name}: whether it is paused");
        self.each_job_is_in_one_place(name, lane);
        let jobs = lane.jobs.iter().map(|(id, job)| {
            let mut fields: BTreeMap<String, String> =
                job.fields.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
            fields.extend(job.lock.iter().map(|lock| ("lock".to_owned(), lock.clone())));
            (id.clone(), fields)
        });
        assert_eq!(self.jobs, jobs.collect(), "{name}: the jobs and their locks");
        let somebody_is_woken = marker.iter().any(|member| member == "0");
        assert!(somebody_is_woken || !lane.must_be_marked(), "{name}: work waits and nobody is woken");
        assert!(!somebody_is_woken || !lane.is_paused, "{name}: paused, and somebody is woken");
        if with_events {
            let told: Vec<_> = lane.events.iter().map(|(event, id)| format!("{event} {id}")).collect();
            assert_eq!(self.events, told, "{name}: events");
        }
    }

    /// Whatever the model thinks: in no two places, and in none only where BullMQ 5.12 put it there.
    fn each_job_is_in_one_place(&self, name: &str, lane: &Lane) {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for id in self.lists[..7].iter().flatten() {
            *places.entry(id).or_default() += 1;
        }
        for id in self.jobs.keys() {
            let expected = usize::from(!lane.astray.contains(id));
            assert_eq!(places.remove(id.as_str()).unwrap_or(0), expected, "{name}: the places of {id}");
        }
        assert!(places.is_empty(), "{name}: without a job: {places:?}");
    }
}
