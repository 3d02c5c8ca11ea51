//! What commands about corrections work with: the queues, the installation's id, and the ways in which they fail.

use std::io::{self, IsTerminal, Write};

use super::Answer;
use crate::config::{CommonSettings, DockerSettings};
use crate::docker::{Engine, EngineError};
use crate::identity::InstanceId;
use crate::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use crate::queue::{Queue, QueueError, Redis};

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Redis is not there, or refused.
    #[error("{0}")]
    Redis(#[from] QueueError),
    /// The engine is not there, or refused.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// The answer cannot be written.
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Runs an order to its end.
pub(super) fn carried_out(order: impl Future<Output = Result<Answer, Refused>>) -> io::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(order) {
        Ok(answer) => Ok(answer),
        Err(Refused::Output(error)) => Err(error),
        Err(Refused::Senseless(why) | Refused::Redis(QueueError::BadSettings(why))) => {
            Ok(Answer::Senseless(why))
        }
        Err(Refused::Engine(error @ (EngineError::BadFile { .. } | EngineError::BadEndpoint(_)))) => {
            Ok(Answer::Senseless(error.to_string()))
        }
        Err(Refused::Redis(error)) => Ok(Answer::Unreachable(error.to_string())),
        Err(Refused::Engine(error)) => Ok(Answer::Unreachable(error.to_string())),
    }
}

/// The three queues, and whose they are.
#[derive(Debug)]
pub(super) struct Place {
    pub redis: Redis,
    pub pending: Queue,
    pub running: Queue,
    pub finished: Queue,
    pub instance: InstanceId,
    /// Whether that is its id; `false` = it has none yet, and this one is nobody's.
    pub has_instance: bool,
    pub common: CommonSettings,
}

impl Place {
    /// Finds Redis and the installation's id, and changes neither: a pin that only this command has is not the
    /// components'.
    pub async fn reach(common: Option<CommonSettings>) -> Result<Self, Refused> {
        let mut place = Self::without_instance(common)?;
        place.redis.ready().await?;
        if let Some(instance) = place.redis.instance_as_it_is(place.common.instance.as_ref()).await? {
            (place.instance, place.has_instance) = (instance, true);
        }
        Ok(place)
    }

    /// The same for whoever adds a job: an installation without an id gets one, so that its correction can be told.
    pub async fn reach_to_add(common: Option<CommonSettings>) -> Result<Self, Refused> {
        let place = Self::reach(common).await?;
        if place.has_instance {
            return Ok(place);
        }
        let instance = place.redis.instance(None).await?;
        Ok(Self { instance, has_instance: true, ..place })
    }

    fn without_instance(common: Option<CommonSettings>) -> Result<Self, Refused> {
        let common = common.ok_or_else(|| Refused::Senseless("there are no settings of Redis".into()))?;
        let redis = Redis::new(&common.redis)?;
        Ok(Self {
            pending: redis.queue(PENDING_QUEUE),
            running: redis.queue(RUNNING_QUEUE),
            finished: redis.queue(FINISHED_QUEUE),
            redis,
            instance: InstanceId::new(uuid::Uuid::new_v4().to_string()),
            has_instance: false,
            common,
        })
    }

    /// The queues, and where they are, as a person has to name them before they are emptied.
    pub fn target(&self) -> String {
        let redis = &self.common.redis;
        format!("{}:{}/{}/{}", redis.host, redis.port, redis.database, redis.prefix)
    }
}

/// The engine of the settings.
pub(super) fn engine(docker: Option<&DockerSettings>) -> Result<Engine, Refused> {
    let docker = docker.ok_or_else(|| Refused::Senseless("there are no settings of Docker".into()))?;
    Ok(Engine::new(docker)?)
}

/// Whether a person confirms what cannot be taken back: by the flag, which has to name the very `target`, or at a
/// terminal by typing a word that is shown. `false` = they thought better of it.
pub(super) fn is_confirmed(flag: &str, named: Option<&str>, target: &str) -> Result<bool, Refused> {
    if let Some(named) = named {
        if named == target {
            return Ok(true);
        }
        let why = format!("{flag} names {named}, but the settings lead to {target}. Nothing was done.");
        return Err(Refused::Senseless(why));
    }
    if !io::stdin().is_terminal() {
        let why = format!(
            "this asks a person, and there is no terminal. A script names the target: {flag} {target}"
        );
        return Err(Refused::Senseless(why));
    }
    // As the scripts ask (scripts/parts/speech.sh).
    let letters = || fastrand::choice(b"bcdfghjkmnpqrstvwxz").map_or('x', |letter| char::from(*letter));
    let word: String = std::iter::repeat_with(letters).take(4).collect();
    // Where nobody can read the question, nothing is done.
    write!(io::stderr(), "Type the word {word} to go on, anything else to leave all as it is: ")?;
    let mut typed = String::new();
    io::stdin().read_line(&mut typed)?;
    if typed.trim() == word {
        return Ok(true);
    }
    writeln!(io::stderr(), "Nothing was done.")?;
    Ok(false)
}
