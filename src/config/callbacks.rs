//! Where callbacks may go, put together from all that tells of it.

use super::connections::{docker, redis};
use super::docker_host;
use super::docker_options;
use super::formats::{self, Allowed};
use super::inputs::Inputs;
use super::problem::Shown;
use super::proxies::proxies;
use super::settings::Endpoint;
use crate::egress::{Egress, FORMS, Openness, OwnService, Rule, parse_all};

/// The rules, and what of our own they keep callbacks away from.
pub(super) fn egress(inputs: &mut Inputs) -> Egress {
    let egress = Egress {
        openness: inputs.read("CALLBACK_POLICY", |text| {
            Openness::named(text).ok_or_else(|| "private, public or listed".into())
        }),
        https_only: inputs.read("CALLBACK_HTTPS_ONLY", formats::boolean),
        allow: inputs.read("CALLBACK_ALLOW", rules),
        deny: inputs.read("CALLBACK_DENY", rules),
        own: own_services(inputs),
        proxies: proxies(inputs),
    };
    if egress.openness == Openness::Listed && egress.allow.is_empty() {
        inputs.warn("CALLBACK_POLICY is listed and CALLBACK_ALLOW is empty: no result can be delivered");
    }
    egress
}

pub(super) fn rules(text: &str) -> Result<Vec<Rule>, Allowed> {
    parse_all(text).map_err(|word| format!("{FORMS}; {} is none", shown(&word, text)))
}

/// A word of a list of rules that is none. Where a URL with a password stands in the list any of its words may be a part of
/// that, since it may hold a comma.
pub(super) fn shown(word: &str, list: &str) -> Shown {
    if list.contains('@') { Shown::secret() } else { Shown::new(word) }
}

fn own_services(inputs: &mut Inputs) -> Vec<OwnService> {
    let redis = redis(inputs);
    let mut own = vec![OwnService { name: "Redis", host: redis.host, port: redis.port }];
    if let Some((host, port)) = docker_address(inputs) {
        own.push(OwnService { name: "Docker engine", host, port });
    }
    own
}

/// Where Docker is, if it is reached by TCP. A notifier needs no Docker; where it is told of one all the same, that is
/// kept from callbacks, and what it is told wrongly is the others' business.
fn docker_address(inputs: &mut Inputs) -> Option<(String, u16)> {
    let endpoint = if inputs.uses("DOCKER_HOST") {
        docker(inputs).endpoint
    } else {
        let file = inputs.plain("DOCKER_OPTIONS_FILE");
        let content = || std::fs::read_to_string(file?.text).ok();
        match inputs.plain("DOCKER_OPTIONS").map(|found| found.text).or_else(content) {
            Some(options) => docker_options::parse(&options).ok()?.endpoint,
            None => docker_host::parse(&inputs.plain("DOCKER_HOST")?.text, false, None).ok()?,
        }
    };
    match endpoint {
        Endpoint::Tcp { host, port } | Endpoint::Tls { host, port, .. } => Some((host, port)),
        Endpoint::Unix(_) | Endpoint::Ssh(_) => None,
    }
}
