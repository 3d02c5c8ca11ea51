//! Redis: whether it is there, will do, keeps what it is told, and lets us work.

use std::time::Duration;

use super::finding::Findings;
use super::persistence;
use crate::config::{CommonSettings, RedisSettings};
use crate::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use crate::queue::{QueueError, Redis, Refused, ServerFacts};
use crate::tools::terminal::{bytes, span};

/// How often it is asked for nothing, to see how long that takes.
const ROUND_TRIPS: usize = 30;
/// From here on a round trip is slow: each correction takes some twenty of them.
const SLOW: Duration = Duration::from_millis(10);
/// From here on clocks differ too much for retries to come when they should; and for signatures to be believed.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);
const CLOCKS_ARE_WRONG: Duration = Duration::from_secs(240);

pub(super) async fn check(common: &CommonSettings, into: &mut Findings) {
    let settings = &common.redis;
    let redis = match Redis::new(settings) {
        Ok(redis) => redis,
        Err(error) => {
            return into.fail("settings", error.to_string(), "mend REDIS_URL, REDIS_HOST, REDIS_DB");
        }
    };
    if !is_there(&redis, settings, into).await {
        return;
    }
    if let Err(error) = look(&redis, common, into).await {
        into.fail(
            "reachable",
            format!("it went away during the checks: {error}"),
            "see whether Redis runs, and what its log says",
        );
    }
}

async fn is_there(redis: &Redis, settings: &RedisSettings, into: &mut Findings) -> bool {
    let RedisSettings { host, port, database, prefix, .. } = settings;
    match redis.ping().await {
        Ok(()) => {
            into.ok("reachable", format!("answers at {host}:{port}, database {database}, prefix {prefix}"));
            if settings.password.is_some() && !settings.tls && !is_local(host) {
                into.note(
                    "encryption",
                    "the password and all submissions' data go to Redis in the clear",
                    "use rediss:// in REDIS_URL, unless the network between is your own",
                );
            }
            true
        }
        Err(error @ QueueError::Denied { .. }) => {
            into.fail(
                "login",
                error.to_string(),
                "set REDIS_PASSWORD, with REDIS_USER where the user is not 'default', or both in REDIS_URL; try them with \
                 redis-cli --user … --askpass ping",
            );
            false
        }
        Err(error @ QueueError::BadSettings(_)) => {
            into.fail("settings", error.to_string(), "mend REDIS_URL, REDIS_HOST, REDIS_DB");
            false
        }
        Err(error @ QueueError::Refused { .. }) => {
            into.fail("reachable", error.to_string(), "while it loads its data, wait; otherwise see its log");
            false
        }
        Err(error) => {
            into.fail(
                "reachable",
                error.to_string(),
                "start Redis, or set REDIS_HOST and REDIS_PORT (or REDIS_URL) to where it is; in a container \
                 127.0.0.1 is the container itself",
            );
            false
        }
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

async fn look(redis: &Redis, common: &CommonSettings, into: &mut Findings) -> Result<(), QueueError> {
    if let Some(facts) = redis.facts().await? {
        version(&facts, into);
        if !mode(&facts, into) {
            return Ok(());
        }
        persistence::check(redis, &facts, into).await?;
        memory(&facts, into);
        clients(&facts, into);
    } else {
        into.note(
            "info",
            "this user may not use INFO: version, persistence and memory are not checked",
            "give it +info and +config|get, or run doctor as another user",
        );
    }
    clock(redis, into).await?;
    latency(redis, into).await?;
    rights(&redis.refused_commands().await, into);
    queues(redis, into).await?;
    instance(redis, common, into).await
}

fn version(facts: &ServerFacts, into: &mut Findings) {
    let found = facts.get("redis_version").unwrap_or("unknown").to_owned();
    let oldest = Redis::OLDEST;
    match facts.is_at_least("redis_version", oldest) {
        Some(false) => into.fail(
            "version",
            format!("Redis {found}, and at least {oldest} is needed"),
            format!("install Redis {oldest} or newer"),
        ),
        Some(true) => match facts.get("server_name").filter(|name| *name != "redis") {
            Some(name) => into.note(
                "version",
                format!("it is {name}, which says that it does what Redis {found} does"),
                "nothing, as long as it works: the tests are made with Redis",
            ),
            None => into.ok("version", format!("Redis {found}")),
        },
        None => {
            into.note("version", "it does not tell its version", "make sure that it is Redis 6.0 or newer");
        }
    }
}

/// Whether it is a server that can be written to.
fn mode(facts: &ServerFacts, into: &mut Findings) -> bool {
    if facts.get("redis_mode") == Some("cluster") || facts.number("cluster_enabled") == Some(1) {
        into.fail(
            "mode",
            "it is a node of a Redis Cluster, which BullMQ's queues under one prefix do not work on",
            "use a single Redis, with a replica for failover",
        );
        return false;
    }
    if facts.get("role") == Some("slave") {
        let master = match (facts.get("master_host"), facts.get("master_port")) {
            (Some(host), Some(port)) => format!(" of {host}:{port}"),
            _ => String::new(),
        };
        into.fail(
            "role",
            format!("it is a replica{master}, which takes no writes"),
            format!("set REDIS_HOST and REDIS_PORT to its master{master}"),
        );
        return false;
    }
    into.ok("role", "it is a master, and no cluster");
    true
}

fn memory(facts: &ServerFacts, into: &mut Findings) {
    match facts.get("maxmemory_policy") {
        Some("noeviction") => into.ok("maxmemory_policy", "maxmemory-policy is noeviction"),
        Some(policy) => into.fail(
            "maxmemory_policy",
            format!(
                "maxmemory-policy is {policy}: when its memory is full, Redis throws queued corrections away"
            ),
            "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
        ),
        None => {}
    }
    if let Some(count @ 1..) = facts.number("evicted_keys") {
        into.warn(
            "evicted_keys",
            format!("Redis has thrown away {count} keys since its start, maybe corrections among them"),
            "set maxmemory-policy noeviction and give it more memory",
        );
    }
    let used = facts.number("used_memory").unwrap_or(0);
    match facts.number("maxmemory") {
        Some(most @ 1..) => {
            let (text, more) = (
                format!("{} of maxmemory {} are used", bytes(used), bytes(most)),
                "raise maxmemory, or keep fewer ended jobs (KEEP_COMPLETED, KEEP_FAILED)",
            );
            match used.saturating_mul(100) / most {
                95.. => into.fail("memory", format!("{text}: Redis is about to refuse new jobs"), more),
                75.. => into.warn("memory", text, more),
                _ => into.ok("memory", text),
            }
        }
        _ => match facts.number("total_system_memory") {
            Some(all @ 1..) if used > all / 2 => into.warn(
                "memory",
                format!("{} are used of the {} that its machine has", bytes(used), bytes(all)),
                "give the machine more memory: a snapshot needs as much again; and set maxmemory, so that Redis refuses \
                 jobs before the kernel kills it",
            ),
            _ => into.ok("memory", format!("{} are used, without a limit (maxmemory)", bytes(used))),
        },
    }
}

fn clients(facts: &ServerFacts, into: &mut Findings) {
    let (Some(now), Some(most)) = (facts.number("connected_clients"), facts.number("maxclients")) else {
        return;
    };
    if now.saturating_mul(10) > most.saturating_mul(9) {
        into.warn(
            "clients",
            format!("{now} clients are connected, and no more than {most} can be (maxclients)"),
            "raise maxclients, or see with CLIENT LIST who does not close connections",
        );
    }
}

async fn clock(redis: &Redis, into: &mut Findings) -> Result<(), QueueError> {
    let Some((ahead, _)) = redis.clock_ahead().await? else { return Ok(()) };
    super::host::clock("Redis", ahead, (CLOCKS_DIFFER, CLOCKS_ARE_WRONG), into);
    Ok(())
}

async fn latency(redis: &Redis, into: &mut Findings) -> Result<(), QueueError> {
    let all = redis.round_trips(ROUND_TRIPS).await?;
    let of = |percent: usize| all.get((all.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let (Some(half), Some(most)) = (of(50), of(99)) else { return Ok(()) };
    let micros = |time: Duration| {
        if time < Duration::from_millis(1) { format!("{}µs", time.as_micros()) } else { span(time) }
    };
    let text = format!("a round trip takes {} (half of them), {} (nearly all)", micros(half), micros(most));
    if half >= SLOW {
        let more = "put Redis nearer to the components; see SLOWLOG and LATENCY DOCTOR";
        into.warn("latency", text, more);
    } else {
        into.ok("latency", text);
    }
    Ok(())
}

fn rights(refused: &Result<Vec<Refused>, QueueError>, into: &mut Findings) {
    let refused = match refused {
        Ok(refused) => refused,
        Err(error) if error.is_ambiguous() => {
            into.fail("commands", error.to_string(), "see whether Redis runs");
            return;
        }
        Err(error) => {
            into.fail(
                "commands",
                format!("no script can be run: {error}"),
                "let the user run EVALSHA, EVAL and SCRIPT LOAD",
            );
            return;
        }
    };
    let Some(first) = refused.first() else {
        into.ok("commands", "every command that is needed is allowed, on all of our keys");
        return;
    };
    let names: Vec<_> = refused.iter().map(|refused| refused.command.as_str()).collect();
    let remedy = match first.why.split_whitespace().next() {
        Some("-OOM" | "OOM") => "raise maxmemory: Redis is full and refuses every new job",
        Some("-MISCONF" | "MISCONF") => "see why Redis cannot save its data: its log, and its disk",
        Some("-READONLY" | "READONLY") => "set REDIS_HOST and REDIS_PORT to the master",
        _ => {
            "ACL SETUSER … +@read +@write +@connection +@scripting +info +time ~bull:*, with your QUEUE_PREFIX for bull"
        }
    };
    into.fail("commands", format!("refused: {}; {}", names.join(", "), first.why), remedy);
}

async fn queues(redis: &Redis, into: &mut Findings) -> Result<(), QueueError> {
    let mut clients = Vec::new();
    for name in [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE] {
        let marks = redis.queue(name).marks().await?;
        if marks.is_paused {
            into.warn(
                "paused",
                format!("{name} is paused: nothing is taken from it"),
                "resume it in the dashboard, or by queue.resume() of BullMQ, if nobody wants it so",
            );
        } else if marks.lines.1 > 0 {
            into.note(
                "paused",
                format!("{name} is not paused, and {} jobs stand in the line of a pause", marks.lines.1),
                "nothing: they are taken first. BullMQ 5.12 and 6.x should not both pause the same queue",
            );
        }
        clients.extend(marks.client.map(|client| (name, client)));
    }
    for (name, client) in clients {
        let major =
            client.rsplit(':').next().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        match major {
            Some(5 | 6) => into.ok("clients_of_queues", format!("{name} was set up by {client}")),
            _ => into.warn(
                "clients_of_queues",
                format!("{name} was set up by {client}, with which this was not tested"),
                "use BullMQ 5.12 or newer, or 6.x, in the program that adds jobs",
            ),
        }
    }
    Ok(())
}

async fn instance(redis: &Redis, common: &CommonSettings, into: &mut Findings) -> Result<(), QueueError> {
    match (redis.known_instance().await?, common.instance.as_ref()) {
        (Some(known), Some(pinned)) if known != *pinned => into.warn(
            "instance",
            format!("this installation is {known} in Redis, and INSTANCE_ID is {pinned}"),
            "set INSTANCE_ID alike for all components, or nowhere; the containers of the other id are nobody's, and \
             scripts/remove_containers --instance removes them",
        ),
        (Some(known), _) => into.ok("instance", format!("this installation is {known}")),
        (None, _) => into.ok("instance", "no component was started yet: this installation has no id"),
    }
    Ok(())
}
