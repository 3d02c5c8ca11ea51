//! The policy file is checked against the engine at start, and read again on SIGHUP.
//!
//! A job is decided about with the policy that is in force at that moment; those under way go on with
//! theirs. A file that is faulty, or gone, changes nothing: the policy of before stays in force.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use crate::docker::{About, EngineError};
use crate::policy::Policy;
use crate::reload::HangUps;
use crate::startup::BadSetting;

use super::services::Session;

/// How long reading the file may take: it may stand on a file system of another host.
const READING: Duration = Duration::from_secs(10);

/// What was warned of already.
#[derive(Debug, Default)]
pub struct Told(HashSet<String>);

impl Told {
    fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        for warning in warnings {
            if !self.0.contains(&warning) {
                warn!("{warning}");
                self.0.insert(warning);
            }
        }
    }
}

/// Says which limits of a policy the engine does not enforce.
///
/// # Errors
/// The policy names a runtime that the engine does not have.
pub fn check(policy: &Policy, about: &About, told: &mut Told) -> Result<(), BadSetting> {
    told.warn(policy.on(&about.abilities)?);
    Ok(())
}

/// Reads the policy file again at each SIGHUP, until the handle is dropped.
pub fn follow(session: &Arc<Session>, mut hang_ups: HangUps, mut told: Told) -> AbortOnDropHandle<()> {
    let session = Arc::clone(session);
    // Those were told with the settings.
    told.0.extend(warnings(&session.policy.now()));
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            hang_ups.next().await;
            reload(&session, &mut told).await;
        }
    }))
}

async fn reload(session: &Session, told: &mut Told) {
    let before = session.policy.now();
    let Some(file) = before.file() else { return };
    let shown = file.display();
    let policy = match read(&before, file).await {
        Ok(policy) => policy,
        Err(faults) => {
            for fault in faults {
                error!(error = fault, "the policy is not changed: {fault}");
            }
            return;
        }
    };
    match session.engine.about().await {
        Ok(about) => {
            if let Err(problem) = check(&policy, &about, told) {
                error!(error = %problem, "the policy is not changed: {problem}");
                return;
            }
        }
        Err(error) => warn_unchecked(&error),
    }
    told.warn(warnings(&policy));
    let rules = policy.rules().len();
    session.policy.exchange(policy);
    info!(rules, "the policy of {shown} was read again and is in force: {rules} rules");
}

fn warnings(policy: &Policy) -> Vec<String> {
    policy.warnings().into_iter().map(|warning| format!("POLICY_FILE: {warning}")).collect()
}

fn warn_unchecked(error: &EngineError) {
    warn!(
        error = format!("{error:#}"),
        "the engine does not answer: whether it has the runtimes of the policy is not known"
    );
}

/// The policy as the file has it now, or what is wrong with the file.
async fn read(before: &Policy, file: &Path) -> Result<Policy, Vec<String>> {
    let shown = file.display();
    let text = match tokio::time::timeout(READING, tokio::fs::read_to_string(file)).await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return Err(vec![format!("cannot read {shown}: {error}")]),
        Err(_) => return Err(vec![format!("cannot read {shown} within {} s", READING.as_secs())]),
    };
    before.reread(&text, file).map_err(|faulty| faulty.lines().collect())
}
