//! What was found, for people and as JSON.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::finding::{Findings, Verdict};
use super::whom;
use crate::config::Component;
use crate::tools::terminal::{Style, Terminal, printable, width};

/// What stands before a remedy.
const REMEDY: &str = "what helps: ";
/// The narrowest column of texts, and the widest where the output goes to no terminal.
const NARROWEST: usize = 40;
const WIDEST: usize = 110;
/// What stands before the texts: two spaces, the verdict, two spaces.
const INDENT: usize = 11;

pub(super) fn told(component: Component, parts: &[Findings]) -> Value {
    let checks: Vec<Value> = parts
        .iter()
        .flat_map(|part| part.all.iter().map(move |finding| (part.area, finding)))
        .map(|(area, finding)| {
            json!({
                "area": area,
                "check": finding.check,
                "verdict": finding.verdict.name(),
                "found": finding.found,
                "remedy": finding.remedy,
            })
        })
        .collect();
    let counts: Map<String, Value> =
        counts(parts).into_iter().map(|(verdict, count)| (verdict.name().to_owned(), count.into())).collect();
    let worst = parts.iter().filter_map(Findings::worst).max().unwrap_or(Verdict::Ok);
    json!({
        "at": format!("{:.3}", Timestamp::now()),
        "component": component.name(),
        "verdict": worst.name(),
        "counts": counts,
        "checks": checks,
    })
}

fn counts(parts: &[Findings]) -> [(Verdict, usize); 4] {
    Verdict::EACH.map(|verdict| (verdict, parts.iter().map(|part| part.count(verdict)).sum()))
}

pub(super) fn print(component: Component, parts: &[Findings], out: &mut Terminal<'_>) -> io::Result<()> {
    let room = out.columns().map_or(WIDEST, |columns| columns.saturating_sub(INDENT)).max(NARROWEST);
    for part in parts {
        let title = out.painted(Style::Strong, part.title);
        writeln!(out, "{title}")?;
        for finding in &part.all {
            let verdict = out.painted(style(finding.verdict), &format!("{:<7}", finding.verdict.name()));
            let mut lines = wrapped(&printable(&finding.found), room).into_iter();
            writeln!(out, "  {verdict}  {}", lines.next().unwrap_or_default())?;
            let remedy = finding.remedy.as_ref();
            let remedy = remedy.map(|remedy| wrapped(&format!("{REMEDY}{}", printable(remedy)), room));
            for line in lines.chain(remedy.into_iter().flatten()) {
                writeln!(out, "{:INDENT$}{line}", "")?;
            }
        }
        writeln!(out)?;
    }
    let [_, notes, warnings, failures] = counts(parts).map(|(_, count)| count);
    let (style, all) = match (failures, warnings) {
        (0, 0) => (Style::Good, "ready"),
        (0, _) => (Style::Warning, "it works, but"),
        _ => (Style::Bad, "not ready"),
    };
    let counts = format!(
        "{}, {}, {}",
        counted(failures, "failure"),
        counted(warnings, "warning"),
        counted(notes, "note")
    );
    let all = out.painted(style, &format!("{all}: {counts}"));
    writeln!(out, "{all} (checked for {})", whom(component))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ok => Style::Good,
        Verdict::Note => Style::Note,
        Verdict::Warning => Style::Warning,
        Verdict::Failure => Style::Bad,
    }
}

/// A text in lines of at most so many columns, where its words let it.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().filter(|line| line.is_empty() || width(line) + 1 + width(word) <= room);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => line.extend([" ", word]),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Vec<Findings> {
        let mut redis = Findings::of("redis", "Redis");
        redis.ok("reachable", "answers");
        redis.fail("role", "it is a replica\u{1b}[2J", "point REDIS_HOST to its master");
        let mut docker = Findings::of("docker", "Docker");
        docker.start_up_warning("limits", "one two three four five six seven eight nine ten eleven twelve");
        vec![redis, docker]
    }

    #[test]
    fn each_finding_is_told_with_its_remedy_in_lines_that_fit() {
        let mut bytes = Vec::new();
        print(Component::Notifier, &parts(), &mut Terminal::plain(&mut bytes)).expect("written");
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.starts_with("Redis\n  ok       answers\n  failure  it is a replica·[2J\n"), "{text}");
        assert!(
            text.contains("\n           what helps: point REDIS_HOST to its master\n\nDocker\n"),
            "{text}"
        );
        assert!(
            text.ends_with("not ready: 1 failure, 1 warning, 0 notes (checked for the notifier)\n"),
            "{text}"
        );
        let mut bytes = Vec::new();
        print(Component::All, &parts(), &mut Terminal::of_columns(&mut bytes, 51)).expect("written");
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains("one two three four five six seven eight\n           nine ten"), "{text}");
    }

    #[test]
    fn the_document_has_all_findings_and_the_worst_verdict() {
        let told = told(Component::All, &parts());
        assert_eq!((&told["verdict"], &told["component"]), (&json!("failure"), &json!("all")));
        assert_eq!(told["counts"], json!({"ok": 1, "note": 0, "warning": 1, "failure": 1}));
        assert_eq!(
            told["checks"][1],
            json!({
                "area": "redis", "check": "role", "verdict": "failure", "found": "it is a replica\u{1b}[2J",
                "remedy": "point REDIS_HOST to its master",
            })
        );
        assert_eq!(told["checks"][2]["remedy"], Value::Null);
    }
}
