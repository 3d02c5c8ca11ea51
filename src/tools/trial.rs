//! `try`: one correction as the components would run it, without Redis, for whoever writes a grader.
//!
//! Nothing of it is done a second way here: the starter's own steps start the container
//! ([`crate::starter::single`]), the completer's state machine watches and reads it ([`crate::completer::single`]),
//! and the notifier's own body is what is shown as the callback's.

mod bench;
mod course;
mod document;
mod finding;
pub(super) mod leftovers;
mod place;
mod pointing;
mod remedies;
mod report;
mod signals;
mod watching;

use std::io;

use crate::config::Trial;
use crate::docker::{Engine, EngineError};

use self::bench::{Bench, Course};
use self::course::Stopped;
pub(super) use self::signals::Signals;
use self::watching::Watching;
use super::Answer;
use super::terminal::Terminal;

/// Why there is no course to tell of.
#[derive(Debug, thiserror::Error)]
enum TrialError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// The engine is not there, or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The answer cannot be written, or the system fails.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Tries it.
pub(super) fn run(trial: &Trial, out: &mut Terminal<'_>) -> io::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let answer = runtime.block_on(async {
        let signals = Signals::taken()?;
        tokio::select! {
            answer = tried(trial, &signals, out) => answer,
            // What is left of the container the next one finds.
            () = signals.again() => Ok(Answer::Interrupted),
        }
    });
    // Nothing that hangs holds it up.
    runtime.shutdown_background();
    match answer {
        Ok(answer) => Ok(answer),
        Err(TrialError::Senseless(why)) => Ok(Answer::Senseless(why)),
        Err(TrialError::Engine(error @ (EngineError::BadFile { .. } | EngineError::BadEndpoint(_)))) => {
            Ok(Answer::Senseless(error.to_string()))
        }
        Err(TrialError::Engine(error)) => {
            Ok(Answer::Unreachable(remedies::with_remedy(&error, &trial.docker.endpoint)))
        }
        Err(TrialError::System(error)) => Err(error),
    }
}

async fn tried(trial: &Trial, signals: &Signals, out: &mut Terminal<'_>) -> Result<Answer, TrialError> {
    let engine = Engine::new(&trial.docker)?;
    let file = place::absolute(trial)?;
    let about = engine.about().await?;
    let mut aside = Terminal::stderr();
    if !place::is_here(&trial.docker.endpoint) {
        let engine = place::of(&trial.docker.endpoint);
        watching::say(
            &mut aside,
            &format!("Docker is at {engine}: the submission has to be there, at {file}"),
        );
    }
    leftovers::remove(&engine, &mut aside).await?;
    loop {
        let mut watching = Watching::begin(trial, &engine, &file).await;
        let bench = Bench { trial, engine: &engine, about: &about, file: &file };
        let course =
            Box::pin(course::run(&bench, signals, watching.changed(trial.docker.pull), &mut aside)).await?;
        let answer = match course {
            Ok(course) => {
                if trial.docker.pull {
                    watching.pulled(course.image_id.as_deref());
                }
                told(trial, &course, out)?
            }
            Err(Stopped::Asked) => return Ok(Answer::Interrupted),
            Err(Stopped::Changed) => {
                watching::say(&mut aside, "it changed meanwhile: trying it again");
                continue;
            }
        };
        if !trial.watch {
            return Ok(answer);
        }
        watching::say(&mut aside, "waiting for a change of the file or the image; Ctrl-C ends");
        tokio::select! {
            () = watching.changed(false) => {}
            () = signals.asked() => return Ok(Answer::Yes),
        }
    }
}

fn told(trial: &Trial, course: &Course, out: &mut Terminal<'_>) -> io::Result<Answer> {
    let answer = course.answer();
    if trial.json && trial.watch {
        out.line(&document::of(trial, course))?;
    } else if trial.json {
        out.document(&document::of(trial, course))?;
    } else {
        report::write(trial, course, out)?;
    }
    Ok(answer)
}
