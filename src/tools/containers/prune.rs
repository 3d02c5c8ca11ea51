//! `containers prune`: removes what nobody needs, after showing it and asking.

use std::io::Write;

use serde_json::{Value, json};

use super::view::{View, table};
use super::{target, views};
use crate::config::PruneContainers;
use crate::docker::{Engine, Removed};
use crate::tools::Answer;
use crate::tools::premises::{Place, Refused, is_confirmed};
use crate::tools::terminal::Terminal;

pub(super) async fn prune(
    place: &Place,
    engine: &Engine,
    order: &PruneContainers,
    out: &mut Terminal<'_>,
) -> Result<Answer, Refused> {
    let target = target(place, &order.whose);
    let all = views(place, engine, &order.whose).await?;
    let (chosen, left): (Vec<View>, Vec<View>) =
        all.into_iter().partition(|view| order.force || view.need.is_over());
    if !order.json {
        out.table(&table(&chosen))?;
        if !left.is_empty() {
            let count = left.len();
            writeln!(
                out,
                "{count} others are left: they run, their result is not safe yet, or they ended a short time ago and nothing \
                 is known of it here (containers list; --force, --older-than)."
            )?;
        }
    }
    if chosen.is_empty() {
        if order.json {
            out.document(&json!({ "target": target, "removed": [], "failed": [], "left": left.len() }))?;
        } else {
            writeln!(out, "There is nothing to remove of {target}.")?;
        }
        return Ok(Answer::Yes);
    }
    if order.yes_remove.is_none() {
        let count = chosen.len();
        writeln!(Terminal::stderr(), "{count} containers of {target} are to be removed.")?;
    }
    if !is_confirmed("--yes-remove", order.yes_remove.as_deref(), &target)? {
        return Ok(Answer::No);
    }
    let (mut removed, mut failed) = (Vec::new(), Vec::new());
    for view in chosen {
        // A person may have taken their time: what is needed by now is left.
        match engine.remove(&view.one.id, order.force).await {
            Ok(Removed::Done | Removed::Gone | Removed::InProgress) => removed.push(view),
            Ok(Removed::Running) => failed.push((view, "it runs".to_owned())),
            Err(error) => failed.push((view, format!("{error:#}"))),
        }
    }
    if order.json {
        let ids: Vec<&str> = removed.iter().map(|view| view.one.id.as_str()).collect();
        let failures: Vec<Value> = failed
            .iter()
            .map(|(view, why)| json!({ "container_id": view.one.id.as_str(), "reason": why }))
            .collect();
        out.document(&json!({ "target": target, "removed": ids, "failed": failures, "left": left.len() }))?;
    } else {
        for (view, why) in &failed {
            writeln!(out, "{}: {why}", view.one.id.short())?;
        }
        writeln!(out, "Removed {} containers.", removed.len())?;
    }
    Ok(if failed.is_empty() { Answer::Yes } else { Answer::No })
}
