//! `policy check`: which rule applies to an image, and what its container would get.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Answer;
use super::terminal::Terminal;
use crate::config::PolicyCheck;
use crate::policy::{Decision, Policy, Rule};
use crate::profile::Profile;

/// Answers it.
pub fn check(asked: &PolicyCheck, out: &mut Terminal<'_>) -> io::Result<Answer> {
    let policy = &asked.policy;
    let Some(image) = &asked.image else {
        if asked.json {
            out.document(&whole(policy))?;
        } else {
            write!(out, "{}", whole_for_people(policy))?;
        }
        return Ok(Answer::Yes);
    };
    let decision = policy.decide(image);
    if asked.json {
        out.document(&decided(policy, image, &decision))?;
    } else {
        write!(out, "{}", decided_for_people(policy, image, &decision))?;
    }
    Ok(if decision.profile.is_ok() { Answer::Yes } else { Answer::No })
}

/// The whole policy.
fn whole(policy: &Policy) -> Value {
    let rules: Vec<_> = policy.rules().iter().map(rule_told).collect();
    let container = policy.file().is_none().then(|| container(policy.base()));
    json!({
        "policy_file": policy.file(),
        "rules": rules,
        "container": container,
        "warnings": policy.warnings(),
    })
}

fn rule_told(rule: &Rule) -> Value {
    let patterns: Vec<_> = rule.patterns.iter().map(ToString::to_string).collect();
    json!({
        "name": rule.name.as_str(),
        "line": rule.line,
        "images": patterns,
        "allow": rule.profile.is_some(),
        "container": rule.profile.as_ref().map(container),
    })
}

fn whole_for_people(policy: &Policy) -> String {
    let Some(file) = policy.file() else {
        let gets = for_people(policy.base());
        return format!("POLICY_FILE is not set: every image may run, and its container gets\n{gets}");
    };
    let mut lines =
        vec![format!("{} is well; the first rule that is about an image decides:", file.display())];
    lines.extend(policy.rules().iter().map(|rule| {
        let patterns: Vec<_> = rule.patterns.iter().map(ToString::to_string).collect();
        let verb = if rule.profile.is_some() { "allows" } else { "refuses" };
        format!("  line {}: {} {verb} {}", rule.line, rule.name, patterns.join(", "))
    }));
    lines.push("  every other image is refused".to_owned());
    lines.extend(policy.warnings().iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n") + "\n"
}

/// What was decided about one image.
fn decided(policy: &Policy, image: &str, decision: &Decision<'_>) -> Value {
    let rule = decision.rule.map(|(rule, pattern)| {
        json!({ "name": rule.name.as_str(), "line": rule.line, "pattern": pattern.as_str() })
    });
    json!({
        "image": image,
        "reads_as": decision.image.as_ref().map(ToString::to_string),
        "allowed": decision.profile.is_ok(),
        "policy_file": policy.file(),
        "rule": rule,
        "why_not": decision.profile.as_ref().err().map(|refused| &refused.why),
        "container": decision.profile.as_ref().ok().map(|profile| container(profile)),
    })
}

fn decided_for_people(policy: &Policy, image: &str, decision: &Decision<'_>) -> String {
    let mut lines = Vec::new();
    lines.extend(decision.image.as_ref().map(|read| format!("{image} is read as {read}")));
    lines.push(match (policy.file(), decision.rule) {
        (None, _) => "POLICY_FILE is not set: every image may run".to_owned(),
        (Some(file), None) => format!("no rule of {} is about it", file.display()),
        (Some(file), Some((rule, pattern))) => {
            let (name, line) = (&rule.name, rule.line);
            format!("the rule {name} decides ({}, line {line}, its pattern {pattern})", file.display())
        }
    });
    lines.push(match &decision.profile {
        Ok(profile) => format!("it may run, and its container gets\n{}", for_people(profile).trim_end()),
        Err(refused) => format!("it may not run: {}", refused.why),
    });
    lines.join("\n") + "\n"
}

/// What a container gets, by the keys of policy files.
pub(super) fn container(profile: &Profile) -> Value {
    let tmpfs: serde_json::Map<_, _> =
        profile.tmpfs.iter().map(|tmpfs| (tmpfs.path.clone(), json!(tmpfs.size))).collect();
    let env: serde_json::Map<_, _> = profile
        .env
        .iter()
        .filter_map(|variable| variable.split_once('='))
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    json!({
        "profile": if profile.hardened { "hardened" } else { "original" },
        "timeout_ms": profile.timeout_ms(),
        "memory": profile.memory,
        "cpus": profile.cpus,
        "pids": profile.pids,
        "nofile": profile.nofile,
        "disk": profile.disk,
        "network": profile.network,
        "caps": profile.capabilities,
        "runtime": profile.runtime,
        "user": profile.user,
        "read_only": profile.read_only_root,
        "tmpfs": tmpfs,
        "env": env,
        "verdict": profile.verdict.name(),
        "most_running": profile.most_running,
    })
}

/// The same in lines, by the same keys.
fn for_people(profile: &Profile) -> String {
    let or = |value: Option<String>, otherwise: &str| value.unwrap_or_else(|| otherwise.to_owned());
    let size = |bytes: Option<u64>| or(bytes.map(sized), "no limit");
    let listed = |all: Vec<String>| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    let tmpfs =
        profile.tmpfs.iter().map(|tmpfs| format!("{} of {}", tmpfs.path, sized(tmpfs.size))).collect();
    let capabilities = if profile.hardened {
        listed(profile.capabilities.clone())
    } else {
        listed(std::iter::once("Docker's own".to_owned()).chain(profile.capabilities.clone()).collect())
    };
    [
        ("profile", if profile.hardened { "hardened" } else { "original" }.to_owned()),
        ("timeout", or(profile.timeout.map(|timeout| format!("{} s", timeout.as_secs_f64())), "none")),
        ("memory", size(profile.memory)),
        ("cpus", or(profile.cpus.map(|count| count.to_string()), "no limit")),
        ("pids", or(profile.pids.map(|count| count.to_string()), "no limit")),
        ("nofile", or(profile.nofile.map(|count| count.to_string()), "the engine's own limit")),
        ("disk", size(profile.disk)),
        ("network", profile.network.clone()),
        ("caps", capabilities),
        ("runtime", or(profile.runtime.clone(), "the engine's own")),
        ("user", or(profile.user.clone(), "the image's own")),
        ("read_only", if profile.read_only_root { "yes" } else { "no" }.to_owned()),
        ("tmpfs", listed(tmpfs)),
        ("env", listed(profile.env.clone())),
        ("verdict", profile.verdict.name().to_owned()),
        ("most_running", or(profile.most_running.map(|count| count.to_string()), "no limit of its own")),
    ]
    .map(|(key, value)| format!("  {key:<13}{value}\n"))
    .concat()
}

/// A size in the largest unit that leaves a whole number.
fn sized(bytes: u64) -> String {
    crate::config::formats::as_size(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::{Bases, KEYS};

    fn asked(image: Option<&str>, json: bool) -> (Answer, String) {
        let hardened =
            Profile { hardened: true, memory: Some(1 << 30), network: "none".into(), ..Profile::unlimited() };
        let bases = Bases { hardened, original: Profile::unlimited(), is_original: false };
        let text = r#"
            [[rule]]
            name = "algebra"
            images = ["r.io/algebra/*"]
            memory = "512m"
            env = { A = "1" }
            tmpfs = { "/tmp" = "1m" }
            [[rule]]
            images = "old"
            allow = false
        "#;
        let policy = Policy::of_file(text, Path::new("/p.toml"), bases).unwrap();
        let mut out = Vec::new();
        let asked = PolicyCheck { image: image.map(str::to_owned), json, policy };
        let answer = check(&asked, &mut Terminal::plain(&mut out)).unwrap();
        (answer, String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_image_that_may_run_is_told_with_its_rule_and_what_its_container_gets() {
        let (answer, text) = asked(Some("R.io/algebra/quiz"), false);
        assert_eq!(answer, Answer::Yes);
        for part in [
            "is read as r.io/algebra/quiz:latest\n",
            "the rule algebra decides (/p.toml, line 2, its pattern r.io/algebra/*)\n",
            "  memory       512m\n",
            "  network      none\n",
            "  tmpfs        /tmp of 1m\n",
            "  caps         none\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let (_, text) = asked(Some("r.io/algebra/quiz"), true);
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&told["allowed"], &told["rule"]["name"]), (&json!(true), &json!("algebra")));
        assert_eq!(told["container"]["memory"], 512 << 20);
        assert_eq!(told["container"]["env"], json!({"A": "1"}));
    }

    #[test]
    fn an_image_that_may_not_run_is_told_with_the_reason_and_the_answer_is_no() {
        for (image, part) in [
            ("old", "the rule \"old\" of /p.toml (line 8) refuses docker.io/library/old:latest"),
            ("other", "no rule of /p.toml allows docker.io/library/other:latest"),
            ("Bad Name", "no image can be called so"),
        ] {
            let (answer, text) = asked(Some(image), false);
            assert!(answer == Answer::No && text.contains(part), "{text}");
            let (answer, text) = asked(Some(image), true);
            let told: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (answer, &told["allowed"], &told["container"]),
                (Answer::No, &json!(false), &Value::Null)
            );
            assert!(told["why_not"].as_str().unwrap().contains(part), "{text}");
        }
    }

    #[test]
    fn without_an_image_the_whole_policy_is_told() {
        let (answer, text) = asked(None, false);
        assert_eq!(answer, Answer::Yes);
        assert!(
            text.contains("line 2: algebra allows r.io/algebra/*\n  line 8: old refuses old\n"),
            "{text}"
        );
        let told: Value = serde_json::from_str(&asked(None, true).1).unwrap();
        assert_eq!(
            told["rules"][1],
            json!({"name": "old", "line": 8, "images": ["old"], "allow": false, "container": null})
        );
    }

    #[test]
    fn each_key_of_a_policy_file_is_told() {
        let told = container(&Profile::unlimited());
        let lines = for_people(&Profile::unlimited());
        for key in KEYS {
            let in_json = if key == "timeout" { "timeout_ms" } else { key };
            assert!(told.get(in_json).is_some(), "{key}");
            assert!(lines.lines().any(|line| line.split_whitespace().next() == Some(key)), "{key}");
        }
    }
}
