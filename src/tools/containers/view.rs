//! A container as it is shown.

use std::time::Duration;

use serde_json::{Value, json};

use super::Need;
use crate::docker::{Inhabitant, State};
use crate::tools::terminal::{Cell, Column, Style, Table, seconds, span};

/// A container, and whether it is needed.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub need: Need,
    pub age: Duration,
    pub one: Inhabitant,
}

impl View {
    fn state(&self) -> &'static str {
        match self.one.state {
            State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Restarting => "restarting",
            State::Removing => "removing",
            State::Exited => "exited",
            State::Dead => "dead",
        }
    }

    fn work_id(&self) -> Option<String> {
        let labels = self.one.labels.as_ref()?;
        labels.errand.work_id.as_ref().map(|_| labels.errand.work_id_shown())
    }

    pub fn to_json(&self) -> Value {
        let labels = self.one.labels.as_ref();
        json!({
            "container_id": self.one.id.as_str(),
            "name": self.one.name,
            "state": self.state(),
            "age_seconds": seconds(self.age),
            "image": self.one.image,
            "instance": self.one.instance.as_ref().map(crate::identity::InstanceId::as_str),
            "correction_id": labels.map(|labels| labels.correction.as_str()),
            "work_id": self.work_id(),
            "need": self.need.for_programs(),
        })
    }
}

/// All of them for a person.
pub(super) fn table(all: &[View]) -> Table {
    let mut table = Table::new([
        Column::left("CONTAINER"),
        Column::left("STATE"),
        Column::right("AGE"),
        Column::left("CORRECTION"),
        Column::left("WORK ID").at_most(40),
        Column::left("IMAGE").at_most(60),
    ]);
    for view in all {
        let style = if view.need.is_over() { Style::Faint } else { Style::Plain };
        table.row([
            view.one.id.short().into(),
            view.state().into(),
            span(view.age).into(),
            Cell::styled(view.need.in_words(), style),
            Cell::known(view.work_id()),
            view.one.image.as_str().into(),
        ]);
    }
    table
}
