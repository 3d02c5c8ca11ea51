//! The example of alert rules is one that Prometheus takes, that fires when it should, and that asks for metrics that
//! there are.

use std::collections::BTreeSet;
use std::path::Path;

use correction_runner::metrics::{Kind, all};
use regex::Regex;

use super::promtool;

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn prometheus_takes_the_rules_and_each_fires_when_it_should() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let (well, said) = promtool(&arguments, "").await;
        assert!(well, "{arguments:?}: {said}");
    }
}

#[test]
fn each_rule_asks_for_metrics_that_there_are_and_has_a_test_that_it_fires() {
    let (rules, tests) = (example("alerts.yml"), example("alerts.test.yml"));
    let known: BTreeSet<String> = all()
        .into_iter()
        .flat_map(|metric| {
            let ends: &[&str] =
                if metric.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
            ends.iter().map(move |end| format!("{}{end}", metric.name)).collect::<Vec<_>>()
        })
        .collect();
    let names = Regex::new(r"\b(?:correction_runner|process)_[a-z_]+\b").expect("an expression");
    for (file, text) in [("alerts.yml", &rules), ("alerts.test.yml", &tests)] {
        let asked: BTreeSet<&str> = names.find_iter(text).map(|found| found.as_str()).collect();
        assert!(asked.len() >= 10, "{file}: {asked:?}");
        for name in asked {
            assert!(known.contains(name), "{file} asks for {name}, which there is not");
        }
    }
    let alerts: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 8, "{alerts:?}");
    for alert in alerts {
        let tested = format!("alertname: {alert}\n");
        let fires = tests.match_indices(&tested).any(|(at, _)| {
            let rest = &tests[at + tested.len()..];
            rest.split("alertname:").next().is_some_and(|test| test.contains("exp_labels:"))
        });
        assert!(fires, "no test has {alert} fire");
    }
}
