//! What a container gets by the settings alone, and the policy file that says otherwise for some images.

use std::path::Path;

use super::inputs::Inputs;
use super::problem::Problem;
use crate::policy::{Bases, Policy};
use crate::profile::{Profile, RuleName, capabilities, reading};

/// Which images may run, and what their containers get.
pub(super) fn policy(inputs: &mut Inputs) -> Policy {
    let is_original = inputs.is_original();
    let hardened = inputs.under(false, profile);
    let original = inputs.under(true, profile);
    let bases = Bases { hardened, original, is_original };
    let warnings = bases.of(None).warnings(|key| format!("CONTAINER_{}", key.to_uppercase()));
    for warning in warnings {
        inputs.warn(warning);
    }
    let Some(found) = inputs.find("POLICY_FILE") else { return Policy::of_settings(bases) };
    let file = Path::new(&found.text);
    let faults = match std::fs::read_to_string(file) {
        Ok(text) => match Policy::of_file(&text, file, bases.clone()) {
            Ok(policy) => {
                policy
                    .warnings()
                    .into_iter()
                    .for_each(|warning| inputs.warn(format!("POLICY_FILE: {warning}")));
                return policy;
            }
            Err(faulty) => faulty.lines().collect(),
        },
        Err(error) => vec![format!("cannot read {}: {error}", file.display())],
    };
    for what in faults {
        inputs.report(Problem::Unusable { setting: "POLICY_FILE", origin: found.origin.clone(), what });
    }
    Policy::of_settings(bases)
}

fn profile(inputs: &mut Inputs) -> Profile {
    let profile = Profile {
        rule: RuleName::settings(),
        hardened: !inputs.is_original(),
        timeout: inputs.read("CONTAINER_TIMEOUT", reading::timeout),
        memory: inputs.read("CONTAINER_MEMORY", reading::memory),
        cpus: inputs.read("CONTAINER_CPUS", reading::cpus),
        pids: inputs.read("CONTAINER_PIDS", reading::pids),
        nofile: inputs.read("CONTAINER_NOFILE", reading::nofile),
        disk: inputs.read("CONTAINER_DISK", reading::disk),
        network: network(inputs),
        runtime: inputs.read_optional("CONTAINER_RUNTIME", reading::runtime),
        user: inputs.read_optional("CONTAINER_USER", reading::user),
        capabilities: inputs.read("CONTAINER_CAPS", capabilities::read),
        read_only_root: inputs.read("CONTAINER_READ_ONLY", super::formats::boolean),
        tmpfs: inputs.read("CONTAINER_TMPFS", reading::tmpfs),
        env: Vec::new(),
        verdict: inputs.read("CONTAINER_VERDICT", reading::verdict),
        most_running: None,
    };
    profile.completed()
}

fn network(inputs: &mut Inputs) -> String {
    inputs.read("CONTAINER_NETWORK", reading::network)
}
