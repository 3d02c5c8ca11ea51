//! What becomes of a policy on an engine that cannot do everything.

use super::Policy;
use crate::profile::abilities::Abilities;
use crate::profile::{Profile, VerdictChannel};
use crate::startup::BadSetting;

/// What whoever asks for a secret has to know.
const OF_SECRETS: &str = "some verdicts count only with a secret, which only this program's completer checks: where the \
                          original's completer runs in its place, any verdict counts";

impl Policy {
    /// What is to be known of this policy on an engine with these abilities: above all which limits it does not
    /// enforce.
    ///
    /// # Errors
    /// The policy names a runtime that the engine does not have.
    pub fn on(&self, abilities: &Abilities) -> Result<Vec<String>, BadSetting> {
        let profiles: Vec<&Profile> = self.profiles().collect();
        for profile in &profiles {
            abilities.has_runtime_of(profile).map_err(|problem| match self.file() {
                None => BadSetting::new("CONTAINER_RUNTIME", problem),
                Some(file) => {
                    let (file, rule) = (file.display(), profile.rule.as_str());
                    BadSetting::new("POLICY_FILE", format_args!("the rule {rule:?} of {file}: {problem}"))
                }
            })?;
        }
        let mut warnings = abilities.unenforced(&profiles);
        if profiles.iter().any(|profile| profile.verdict == VerdictChannel::Secret) {
            warnings.push(OF_SECRETS.to_owned());
        }
        Ok(warnings)
    }
}
