//! What a person wants to know of a Redis server before it is trusted with corrections. Nothing is left behind.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use deadpool_redis::redis::{self, Cmd};
use jiff::{SignedDuration, Timestamp};

use super::{Queue, QueueError, Redis, scripts};
use crate::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};

/// What a server tells of itself (`INFO`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts(HashMap<String, String>);

/// A command that Redis does not let us use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The command.
    pub command: String,
    /// What Redis says.
    pub why: String,
}

/// What stands in a queue's settings, which its clients write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueMarks {
    /// The client's library and its version, such as `bullmq:6.7.0`; older ones do not say so.
    pub client: Option<String>,
    /// Whether it is paused.
    pub is_paused: bool,
    /// Jobs in the lists `wait` and `paused`.
    pub lines: (u64, u64),
}

impl ServerFacts {
    fn read(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// The value of a field, where the server has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The same of a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Whether a version, `redis_version` or another one, is at least `major.minor`; `None` = it is not told.
    #[must_use]
    pub fn is_at_least(&self, name: &str, wanted: &str) -> Option<bool> {
        Some(super::redis::version(self.get(name)?) >= super::redis::version(wanted))
    }
}

impl Redis {
    /// The oldest version that knows all commands that we use.
    pub const OLDEST: &str = super::redis::OLDEST_VERSION;

    /// What the server tells of itself; `None` where we may not ask.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn facts(&self) -> Result<Option<ServerFacts>, QueueError> {
        let info = self.allowed::<String>("info", &redis::cmd("INFO")).await?;
        Ok(info.map(|text| ServerFacts::read(&text)))
    }

    /// One of the server's settings; `None` where we may not ask, or there is no such setting.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, QueueError> {
        let get = redis::cmd("CONFIG").arg("GET").arg(name).clone();
        let pairs = self.allowed::<Vec<String>>("read a setting", &get).await?.unwrap_or_default();
        Ok(pairs.into_iter().nth(1))
    }

    /// How long so many calls took that ask for nothing, the shortest first.
    ///
    /// # Errors
    /// One of them was not answered.
    pub async fn round_trips(&self, count: usize) -> Result<Vec<Duration>, QueueError> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            self.ping().await?;
            all.push(begun.elapsed());
        }
        all.sort_unstable();
        Ok(all)
    }

    /// How far the server's clock is ahead of ours, and how wrong that may be; `None` where we may not ask.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn clock_ahead(&self) -> Result<Option<(SignedDuration, Duration)>, QueueError> {
        // So that no connection is made while the clock runs.
        self.ping().await?;
        let (sent, begun) = (Timestamp::now(), Instant::now());
        let Some((seconds, micros)) = self.allowed::<(i64, i64)>("ask the time", &redis::cmd("TIME")).await?
        else {
            return Ok(None);
        };
        let half = begun.elapsed() / 2;
        let its = SignedDuration::from_secs(seconds) + SignedDuration::from_micros(micros);
        let ours =
            sent.duration_since(Timestamp::UNIX_EPOCH) + SignedDuration::try_from(half).unwrap_or_default();
        Ok(Some((its - ours, half)))
    }

    /// The commands that we use and may not, or cannot: those of scripts are tried on keys of no use, which are gone
    /// afterwards.
    ///
    /// # Errors
    /// Redis cannot be asked, or runs no scripts of ours at all.
    pub async fn refused_commands(&self) -> Result<Vec<Refused>, QueueError> {
        let scratch = format!("correction-runner-doctor-{}", uuid::Uuid::new_v4().simple());
        let mut call = scripts::RIGHTS.prepare_invoke();
        for queue in [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE] {
            call.key(format!("{}{scratch}", self.base_key(queue)));
        }
        let own = self.own_key(&scratch);
        call.key(&own);
        let tried: Vec<(String, String)> = self.script("try each command", &call).await?;
        let mut refused = Vec::<Refused>::new();
        let mut note = |command: String, why: String| {
            if !refused.iter().any(|known| known.command == command) {
                refused.push(Refused { command, why });
            }
        };
        for (command, why) in tried {
            note(command, why);
        }
        // What is used outside of scripts, and cannot be tried within one.
        let direct = [
            redis::cmd("SCRIPT").arg("LOAD").arg("return 1").clone(),
            redis::cmd("CLIENT").arg("ID").clone(),
            redis::cmd("CLIENT").arg("UNBLOCK").arg(0).clone(),
            redis::cmd("BZPOPMIN").arg(&own).arg(0.01).clone(),
        ];
        for command in direct {
            match self.command::<redis::Value>("try a command", &command).await {
                Err(error) if error.is_ambiguous() => return Err(error),
                Err(error) => note(words_of(&command), error.to_string()),
                Ok(_) => {}
            }
        }
        Ok(refused)
    }

    /// The answer to a command that a user may be denied, or a server may not have.
    async fn allowed<T: redis::FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<Option<T>, QueueError> {
        match self.command::<T>(operation, command).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_denial() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Queue {
    /// What its clients wrote into its settings.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn marks(&self) -> Result<QueueMarks, QueueError> {
        let key = |name: &str| format!("{}{name}", self.base);
        let read = redis::cmd("HMGET").arg(key("meta")).arg("version").arg("paused").clone();
        let (client, paused): (Option<String>, Option<String>) =
            self.redis.command("read a queue's settings", &read).await?;
        let length = async |list: &str| {
            self.redis.command::<u64>("count a line", redis::cmd("LLEN").arg(key(list))).await
        };
        let lines = (length("wait").await?, length("paused").await?);
        Ok(QueueMarks { client, is_paused: paused.is_some(), lines })
    }
}

/// The words of a command that say what it is.
fn words_of(command: &Cmd) -> String {
    let words: Vec<String> = command
        .args_iter()
        .filter_map(|word| match word {
            redis::Arg::Simple(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        })
        .take_while(|word| word.bytes().all(|byte| byte.is_ascii_uppercase()))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn facts_are_read_with_or_without_carriage_returns() {
        let facts = ServerFacts::read("# Server\r\nredis_version:7.0.15\r\nused_memory:12\n\nempty:\n");
        assert_eq!(facts.get("redis_version"), Some("7.0.15"));
        assert_eq!(
            (facts.number("used_memory"), facts.get("empty"), facts.get("none")),
            (Some(12), None, None)
        );
        let at_least = |wanted| facts.is_at_least("redis_version", wanted);
        assert_eq!((at_least("6.0"), at_least("10.0")), (Some(true), Some(false)));
    }

    #[test]
    fn a_command_is_named_by_its_words_and_not_by_what_it_is_about() {
        assert_eq!(words_of(redis::cmd("SCRIPT").arg("LOAD").arg("return 1")), "SCRIPT LOAD");
        assert_eq!(words_of(redis::cmd("BZPOPMIN").arg("key").arg(1)), "BZPOPMIN");
    }

    /// The words in capital letters that follow a text in a file.
    fn words_after(text: &str, before: &str) -> BTreeSet<String> {
        let rest = text.match_indices(before).map(|(at, found)| &text[at + found.len()..]);
        rest.map(|rest| rest.chars().take_while(char::is_ascii_uppercase).collect()).collect()
    }

    #[test]
    fn every_command_that_a_script_uses_is_tried() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/queue/scripts");
        let tried =
            words_after(&std::fs::read_to_string(folder.join("rights.lua")).expect("a file"), "try('");
        let mut used = BTreeSet::new();
        for folder in [folder.clone(), folder.join("shared")] {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                if let Ok(text) = std::fs::read_to_string(entry.path()) {
                    used.extend(words_after(&text, "call('"));
                }
            }
        }
        used.remove("");
        assert!(used.len() > 30, "the scripts were not found: {used:?}");
        let missing: Vec<_> = used.difference(&tried).collect();
        assert!(missing.is_empty(), "rights.lua does not try {missing:?}");
    }
}
