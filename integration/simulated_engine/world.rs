//! The simulated engine's memory: containers and what calls, time and hands do to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::Options;
use super::container::{
    Container, CreateBody, HostConfig, Identity, SECRET_FOLDER, SECRET_LABEL, Status, script,
};
use super::events::EventLog;
use super::faults::Rule;
use super::images::Images;
use super::query::Filters;
use super::reply::Refusal;
use super::stats::Stats;

/// A run that began, to be ended after its time.
#[derive(Debug)]
pub struct Run {
    /// Whose.
    pub id: String,
    /// Which of its runs.
    pub number: u64,
    /// For how long.
    pub time: Duration,
    /// With which exit code.
    pub exit_code: i64,
}

/// A death that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// What its environment noted ([`script::NOTE`]).
    pub note: String,
    /// Nanoseconds of Unix time on the engine's clock.
    pub time: i128,
}

/// All that the engine knows.
pub struct World {
    /// As it was started.
    pub options: Options,
    /// By id.
    pub containers: HashMap<String, Container>,
    names: HashMap<String, String>,
    /// What happened.
    pub log: EventLog,
    /// What can be run and pulled.
    pub images: Images,
    /// What was counted.
    pub stats: Stats,
    /// What is to go wrong.
    pub rules: Vec<Rule>,
    /// How far the engine's clock is ahead of this machine's, in nanoseconds.
    pub skew: i128,
    /// How long `list` goes on saying `running` of a container that ended.
    pub list_lag: Duration,
    /// `list` leaves out one container in so many, by chance; 0 = none.
    pub list_omits: usize,
    /// Whether containers end before their start is answered.
    pub dies_within_start: bool,
    /// Every death, where they are recorded.
    pub deaths: Vec<Death>,
}

impl World {
    /// An engine without containers.
    pub fn new(options: Options) -> Self {
        Self {
            containers: HashMap::new(),
            names: HashMap::new(),
            log: EventLog::new(options.shape),
            images: Images::new(options.images.clone()),
            stats: Stats::default(),
            rules: Vec::new(),
            skew: 0,
            list_lag: Duration::ZERO,
            list_omits: 0,
            dies_within_start: false,
            deaths: Vec::new(),
            options,
        }
    }

    /// Nanoseconds of Unix time on the engine's clock.
    pub fn now(&self) -> i128 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        i128::try_from(real).unwrap_or(0) + self.skew
    }

    /// The id behind an id, a name, or the beginning of an id.
    pub fn resolve(&self, reference: &str) -> Option<&str> {
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some((id, _)) = self.containers.get_key_value(reference) {
            return Some(id);
        }
        if let Some(id) = self.names.get(name) {
            return Some(id);
        }
        let short = (4..64).contains(&reference.len());
        self.containers.keys().find(|id| short && id.starts_with(reference)).map(String::as_str)
    }

    /// The container behind an id or a name.
    pub fn find(&self, reference: &str) -> Result<&Container, Refusal> {
        self.resolve(reference)
            .and_then(|id| self.containers.get(id))
            .ok_or_else(|| Refusal(404, format!("No such container: {reference}")))
    }

    pub(super) fn find_mut(&mut self, reference: &str) -> Result<&mut Container, Refusal> {
        let missing = || Refusal(404, format!("No such container: {reference}"));
        let id = self.resolve(reference).ok_or_else(missing)?.to_owned();
        self.containers.get_mut(&id).ok_or_else(missing)
    }

    /// `POST /containers/create`: the new container's id.
    pub fn create(&mut self, name: Option<&str>, body: &Bytes) -> Result<String, Refusal> {
        let asked: CreateBody =
            serde_json::from_slice(body).map_err(|error| Refusal(400, error.to_string()))?;
        let id = new_id();
        let name = name.map_or_else(|| format!("simulated_{}", &id[..12]), ToOwned::to_owned);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.len() < 2
            || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !name.chars().all(legal)
        {
            return Err(Refusal(
                400,
                format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
            ));
        }
        self.images.demand(&asked.image)?;
        if self.options.check_mounts {
            check_mounts(&asked)?;
        }
        if let Some(holder) = self.names.get(&name) {
            return Err(Refusal(
                409,
                format!(
                    "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". \
                     You have to remove (or rename) that container to be able to reuse that name."
                ),
            ));
        }
        let identity = Arc::new(Identity {
            id: id.clone(),
            name: name.clone(),
            image: asked.image,
            labels: asked.labels.unwrap_or_default(),
        });
        let created = self.now();
        self.log.emit("create", &identity, None, created);
        let container = Container {
            identity,
            env: asked.env.unwrap_or_default(),
            host_config: asked.host_config,
            status: Status::Created,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            created,
            started: 0,
            finished: 0,
            run: 0,
            start_calls: 0,
            lost: false,
            secret: None,
        };
        self.names.insert(name, id.clone());
        self.containers.insert(id.clone(), container);
        self.stats.created += 1;
        self.stats.last_create = body.clone();
        Ok(id)
    }

    /// `POST /containers/{id}/start`: the run, or `None` where it runs already.
    pub fn start(&mut self, reference: &str) -> Result<Option<Run>, Refusal> {
        let now = self.now();
        let (run_time, exit_code) = (self.options.run_time, self.options.exit_code);
        let container = self.find_mut(reference)?;
        container.start_calls += 1;
        let calls = container.start_calls;
        self.stats.max_starts_of_one = self.stats.max_starts_of_one.max(calls);
        let container = self.find_mut(reference)?;
        match container.status {
            Status::Running => return Ok(None),
            Status::Paused => {
                return Err(Refusal(409, "cannot start a paused container, try unpause instead".to_owned()));
            }
            Status::Dead | Status::Removing => {
                let message = "container is marked for removal and cannot be started";
                return Err(Refusal(409, message.to_owned()));
            }
            Status::Created | Status::Exited => {}
        }
        if let Some(error) = container.variable(script::START_ERROR).map(ToOwned::to_owned) {
            container.exit_code = 127;
            container.error.clone_from(&error);
            return Err(Refusal(400, error));
        }
        let wanted = container.identity.labels.get(SECRET_LABEL).filter(|secret| !secret.is_empty());
        let without_secret = wanted != container.secret.as_ref();
        container.status = Status::Running;
        container.run += 1;
        (container.started, container.finished) = (now, 0);
        (container.exit_code, container.oom_killed) = (0, false);
        let run = Run {
            id: container.identity.id.clone(),
            number: container.run,
            time: container.run_time(run_time),
            exit_code: container.own_exit_code(exit_code),
        };
        let identity = Arc::clone(&container.identity);
        self.log.emit("start", &identity, None, now);
        *self.stats.started_of.entry(identity.image.clone()).or_default() += 1;
        self.stats.start(now);
        self.stats.started_without_secret += u64::from(without_secret);
        Ok(Some(run))
    }

    /// A run ends while the disk is full: nothing is kept of what it wrote, and its files cannot be changed.
    pub fn lose(&mut self, id: &str) -> bool {
        let ended = self.end(id, None, 0);
        if let Some(container) = self.containers.get_mut(id).filter(|_| ended) {
            container.lost = true;
        }
        ended
    }

    /// The end of a run: nothing happens where it ended before.
    pub fn end(&mut self, id: &str, run: Option<u64>, exit_code: i64) -> bool {
        let now = self.now();
        let Some(container) = self.containers.get_mut(id) else { return false };
        if !container.status.is_alive() || run.is_some_and(|run| run != container.run) {
            return false;
        }
        container.status = Status::Exited;
        (container.exit_code, container.finished) = (exit_code, now);
        let identity = Arc::clone(&container.identity);
        container.oom_killed = exit_code == 137 && container.variable(script::OOM) == Some("1");
        if container.oom_killed {
            self.log.emit("oom", &identity, None, now);
        }
        if self.options.record_deaths {
            let note = container.variable(script::NOTE).unwrap_or_default().to_owned();
            let (id, name) = (identity.id.clone(), identity.name.clone());
            self.deaths.push(Death { id, name, note, time: now });
        }
        self.log.emit("die", &identity, Some(&("exitCode", exit_code.to_string())), now);
        self.stats.end(now);
        true
    }

    /// `POST /containers/{id}/kill`.
    pub fn kill(&mut self, reference: &str, signal: &str) -> Result<(), Refusal> {
        let now = self.now();
        let cannot =
            |Refusal(status, why)| Refusal(status, format!("Cannot kill container: {reference}: {why}"));
        let container = self.find(reference).map_err(cannot)?;
        let identity = Arc::clone(&container.identity);
        if !container.status.is_alive() {
            return Err(cannot(Refusal(409, format!("Container {} is not running", identity.id))));
        }
        let number = match signal.trim_start_matches("SIG") {
            "" | "KILL" | "9" => 9,
            "TERM" | "15" => 15,
            "INT" | "2" => 2,
            "HUP" | "1" => 1,
            _ => return Err(Refusal(400, format!("Invalid signal: {signal}"))),
        };
        self.log.emit("kill", &identity, Some(&("signal", number.to_string())), now);
        if number == 9 {
            self.stats.killed += 1;
            self.end(&identity.id, None, 137);
        }
        Ok(())
    }

    /// `POST /containers/{id}/pause` and `/unpause`.
    pub fn freeze(&mut self, reference: &str, freeze: bool) -> Result<(), Refusal> {
        let now = self.now();
        let container = self.find_mut(reference)?;
        let identity = Arc::clone(&container.identity);
        let (from, to, word, wrong) = if freeze {
            (Status::Running, Status::Paused, "pause", "is not running")
        } else {
            (Status::Paused, Status::Running, "unpause", "is not paused")
        };
        if container.status != from {
            return Err(Refusal(500, format!("Container {} {wrong}", identity.id)));
        }
        container.status = to;
        self.log.emit(word, &identity, None, now);
        Ok(())
    }

    /// `DELETE /containers/{id}`.
    pub fn remove(&mut self, reference: &str, force: bool) -> Result<(), Refusal> {
        let container = self.find(reference)?;
        let identity = Arc::clone(&container.identity);
        if container.status.is_alive() {
            if !force {
                return Err(Refusal(
                    409,
                    format!(
                        "You cannot remove a running container {}. Stop the container before attempting \
                         removal or force remove",
                        identity.id
                    ),
                ));
            }
            self.kill(reference, "KILL")?;
        }
        self.containers.remove(&identity.id);
        self.names.remove(&identity.name);
        self.stats.removed += 1;
        let now = self.now();
        self.log.emit("destroy", &identity, None, now);
        Ok(())
    }

    /// `GET /containers/json`: newest first.
    pub fn list(&self, all: bool, filters: &Filters) -> String {
        let now = self.now();
        let lag = i128::try_from(self.list_lag.as_nanos()).unwrap_or(0);
        let mut found: Vec<(&Container, Status)> = self
            .containers
            .values()
            .filter(|_| self.list_omits == 0 || fastrand::usize(..self.list_omits) > 0)
            .map(|container| {
                let lags = container.status == Status::Exited && now - container.finished < lag;
                (container, if lags { Status::Running } else { container.status })
            })
            .filter(|(container, status)| {
                let who = &*container.identity;
                (all || filters.has("status") || status.is_alive())
                    && filters.allows("status", |wanted| wanted == status.word())
                    && filters.allows("id", |wanted| who.id.starts_with(wanted))
                    && filters.allows("name", |wanted| who.name.contains(wanted.trim_start_matches('/')))
                    && filters.allows_labels(&who.labels)
            })
            .collect();
        found.sort_by_key(|(container, _)| std::cmp::Reverse(container.created));
        let mut list = String::from("[");
        for (container, status) in found {
            if list.len() > 1 {
                list.push(',');
            }
            container.append_listed(status, &mut list);
        }
        list.push_str("]\n");
        list
    }
}

fn check_mounts(asked: &CreateBody) -> Result<(), Refusal> {
    let Some(host_config) = &asked.host_config else { return Ok(()) };
    let host_config: HostConfig =
        serde_json::from_str(host_config.get()).map_err(|error| Refusal(400, error.to_string()))?;
    for mount in host_config.mounts.unwrap_or_default() {
        let Some(source) = mount.source.filter(|source| !source.is_empty()) else { continue };
        if !std::path::Path::new(&source).exists() {
            return Err(Refusal(
                400,
                format!("invalid mount config for type \"bind\": bind source path does not exist: {source}"),
            ));
        }
    }
    Ok(())
}

/// 64 hexadecimal digits.
pub fn new_id() -> String {
    format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..))
}
