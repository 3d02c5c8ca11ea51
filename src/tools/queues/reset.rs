//! `queues reset`: deletes the three queues and all of our own keys.

use std::io::Write;

use serde_json::json;

use super::{as_json, counted, table};
use crate::config::ResetQueues;
use crate::tools::Answer;
use crate::tools::premises::{Place, Refused, is_confirmed};
use crate::tools::terminal::Terminal;

pub(super) async fn reset(
    place: &Place,
    order: &ResetQueues,
    out: &mut Terminal<'_>,
) -> Result<Answer, Refused> {
    let (all, target) = (counted(place).await?, place.target());
    if !order.json {
        writeln!(out, "Redis {target}")?;
        out.table(&table(&all))?;
    }
    if order.yes_delete.is_none() {
        let mut person = Terminal::stderr();
        writeln!(
            person,
            "All of it is to be deleted: every correction that waits, runs or is to be delivered is lost, without a \
             callback.\nStop the runner's components first: they would go on with what they hold. (queues drain \
             cancels what waits, and tells so.)"
        )?;
    }
    if !is_confirmed("--yes-delete", order.yes_delete.as_deref(), &target)? {
        return Ok(Answer::No);
    }
    let removed = place.redis.reset().await?;
    let deleted = removed.pending + removed.running + removed.finished + removed.own;
    if order.json {
        out.document(&json!({
            "target": target, "queues": as_json(&all), "deleted_keys": deleted, "instance": place.has_instance.then(|| place.instance.as_str()),
        }))?;
    } else {
        writeln!(out, "Deleted {deleted} keys of {target}.")?;
        if place.has_instance {
            writeln!(
                out,
                "Its containers stay, and nobody knows of them any more. To remove them all: correction-runner \
                 containers prune --force --instance {}",
                place.instance
            )?;
        }
    }
    Ok(Answer::Yes)
}
