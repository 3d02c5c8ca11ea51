//! The way to callbacks: the rules, the roots of certificates, the resolver, and one callback if it is named.

use std::time::Duration;

use super::finding::Findings;
use crate::callback::{Courier, Examined, believed_roots, examine, examine_proxy};
use crate::config::NotifierSettings;
use crate::egress::{Egress, Openness, Proxies};

/// How long it may take to get as far as an open connection.
const WITHIN: Duration = Duration::from_secs(15);

pub(super) async fn check(settings: &NotifierSettings, callback: Option<&str>, into: &mut Findings) {
    rules(&settings.egress, into);
    if let Err(error) = Courier::new(settings.timeout, settings.ca_file.as_deref(), settings.egress.clone()) {
        into.fail(
            "ca_file",
            error.to_string(),
            "set CALLBACK_CA_FILE to a PEM file of certificates, or to nothing",
        );
        return;
    }
    match believed_roots() {
        0 if settings.ca_file.is_none() => into.fail(
            "roots",
            "the system has no root certificates: no callback by https can be delivered",
            "apt install ca-certificates, or set CALLBACK_CA_FILE",
        ),
        0 => into.warn(
            "roots",
            "only the certificates of CALLBACK_CA_FILE are believed: the system has none",
            "apt install ca-certificates, if receivers on the internet are to be reached",
        ),
        count => into.ok("roots", format!("{count} root certificates are believed")),
    }
    names(&settings.egress, into).await;
    proxies(&settings.egress.proxies, into).await;
    let Some(url) = callback else { return };
    let examined = examine(url, settings.ca_file.as_deref(), settings.egress.clone(), WITHIN).await;
    match examined {
        Ok(Ok(examined)) => one(&examined, into),
        Ok(Err(problem)) => {
            into.fail("callback", problem, "a callback is a URL with http or https and a host");
        }
        Err(error) => into.fail("ca_file", error.to_string(), "mend CALLBACK_CA_FILE"),
    }
}

fn rules(egress: &Egress, into: &mut Findings) {
    let whom = match egress.openness {
        Openness::Private => "callbacks may go to private networks and the internet",
        Openness::Public => "callbacks may go to the internet, not into private networks",
        Openness::Listed => "callbacks may go to nobody whom CALLBACK_ALLOW does not name",
    };
    let listed = |name: &str, rules: &[crate::egress::Rule]| {
        let all: Vec<_> = rules.iter().map(ToString::to_string).collect();
        if all.is_empty() { String::new() } else { format!("; {name} {}", all.join(", ")) }
    };
    let https = if egress.https_only { "; by https only" } else { "" };
    let (allow, deny) = (listed("also to", &egress.allow), listed("never to", &egress.deny));
    into.ok("policy", format!("{whom}{allow}{deny}{https}"));
}

/// The names that the rules tell of, and where our own services are, which every delivery to their ports looks up.
async fn names(egress: &Egress, into: &mut Findings) {
    let mut names: Vec<&str> = egress.own.iter().map(|service| service.host.as_str()).collect();
    names.extend(egress.allow.iter().filter_map(|rule| rule.host()));
    names.sort_unstable();
    names.dedup();
    let (mut found, mut last) = (0, None);
    for name in names {
        let looked = tokio::time::timeout(WITHIN, tokio::net::lookup_host((name, 0))).await;
        match looked.map(|found| found.map(|mut addresses| addresses.next().is_some())) {
            Ok(Ok(true)) => {
                found += 1;
                last = Some(name.to_owned());
            }
            Ok(Ok(false)) => unknown(name, "it has no address", into),
            Ok(Err(error)) => unknown(name, &error.to_string(), into),
            Err(_) => unknown(name, "no answer in time", into),
        }
    }
    if let Some(last) = last {
        let text = if found == 1 {
            format!("{last} has an address")
        } else {
            format!("{found} names have addresses")
        };
        into.ok("resolver", text);
    }
}

fn unknown(name: &str, why: &str, into: &mut Findings) {
    into.warn(
        "resolver",
        format!("the address of {name} cannot be found: {why}"),
        "check the name, and /etc/resolv.conf of this machine",
    );
}

async fn proxies(proxies: &Proxies, into: &mut Findings) {
    let direct: Vec<_> = proxies.direct.iter().map(ToString::to_string).collect();
    let but = if direct.is_empty() { String::new() } else { format!(", but not to {}", direct.join(", ")) };
    for (which, proxy) in proxies.each() {
        match examine_proxy(proxy, WITHIN).await {
            Ok(()) => into.ok("proxy", format!("{which} go by the proxy {proxy}, which takes connections{but}")),
            Err(why) => into.fail(
                "proxy",
                format!("{which} are to go by a proxy: {why}"),
                "see whether the proxy runs, and whether a firewall lets this machine through, or mend CALLBACK_PROXY",
            ),
        }
    }
    if let Some(which) = proxies.without() {
        into.note("proxy", format!("{which} go directly: the environment has no proxy for them"), "");
    }
}

/// One callback.
fn one(examined: &Examined, into: &mut Findings) {
    let host = &examined.host;
    if let Some(why) = &examined.refused {
        into.fail(
            "callback",
            format!("nothing is delivered to {host}: {why}"),
            "see CALLBACK_DENY and CALLBACK_HTTPS_ONLY",
        );
        return;
    }
    let addresses = match &examined.addresses {
        Ok(addresses) => addresses,
        Err(why) => {
            let remedy = "check the host's name, and whether this machine's resolver knows it (no proxy is asked for names)";
            return into.fail("callback", format!("{host}: {why}"), remedy);
        }
    };
    let mut dialled = Vec::new();
    for (address, refusal) in addresses {
        match refusal {
            None => dialled.push(address.to_string()),
            Some(why) => into.note("callback_address", format!("not dialled: {why}"), ""),
        }
    }
    if dialled.is_empty() {
        let why = addresses.iter().find_map(|(_, refusal)| refusal.clone()).unwrap_or_default();
        into.fail(
            "callback",
            format!("nothing is delivered to {host}: {why}"),
            "name it in CALLBACK_ALLOW, if its results may go there, or mend CALLBACK_POLICY and CALLBACK_DENY; what is \
             never reached (our own services, metadata) cannot be allowed",
        );
        return;
    }
    let dialled = dialled.join(", ");
    let by = examined.proxy.as_ref().map(|proxy| format!(" by the proxy {proxy}")).unwrap_or_default();
    match &examined.connected {
        Some(Ok(address)) => {
            let tls = if examined.is_https { ", encrypted, with a certificate that is believed" } else { "" };
            into.ok("callback", format!("{host} takes connections at {address}{by}{tls}; nothing was posted"));
        }
        Some(Err(why)) if examined.failed_at_proxy => into.fail(
            "callback",
            format!("{host} ({dialled}): {why}"),
            "see whether the proxy lets this machine CONNECT to that address and port, or name the host in CALLBACK_NO_PROXY; \
             CALLBACK_PROXY has the user and password",
        ),
        Some(Err(why)) if examined.is_https && is_of_certificate(why) => into.fail(
            "callback",
            format!("{host} ({dialled}): {why}"),
            "mend the receiver's certificate (name, chain, date), or trust its authority by CALLBACK_CA_FILE; a proxy that \
             opens encrypted connections shows certificates of its own",
        ),
        Some(Err(why)) => into.fail(
            "callback",
            format!("{host} ({dialled}): {why}"),
            "see whether the receiver runs, and whether a firewall lets this machine through",
        ),
        None => {}
    }
}

fn is_of_certificate(why: &str) -> bool {
    let why = why.to_lowercase();
    why.contains("certificate") || why.contains("unknownissuer")
}
