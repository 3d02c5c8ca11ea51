//! The submission's place on the engine's host.

use std::path::Path;

use super::TrialError;
use crate::config::{Endpoint, Trial};

/// The submission's absolute path, as the engine is told of it.
///
/// # Errors
/// It cannot be told to an engine, or is not there although the engine is on this machine.
pub(super) fn absolute(trial: &Trial) -> Result<String, TrialError> {
    let given = trial.file.display();
    let absolute = std::path::absolute(&trial.file)?;
    let Some(text) = absolute.to_str() else {
        return Err(TrialError::Senseless(format!(
            "the path of {given} is not UTF-8, as job data has to be"
        )));
    };
    if is_here(&trial.docker.endpoint)
        && let Err(error) = Path::new(text).metadata()
    {
        return Err(TrialError::Senseless(format!("the submission {text} cannot be read: {error}")));
    }
    Ok(text.to_owned())
}

/// Whether the engine sees the files that we see, as far as that can be told.
pub(super) fn is_here(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Unix(_))
}

/// Where the engine is, for people.
pub(super) fn of(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(path) => path.display().to_string(),
        Endpoint::Tcp { host, port } | Endpoint::Tls { host, port, .. } => format!("{host}:{port}"),
        Endpoint::Ssh(ssh) => ssh.host.clone(),
    }
}
