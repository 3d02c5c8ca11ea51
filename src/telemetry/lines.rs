//! How a line of the log looks: for programs, and for people.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::harmless;

/// Each event as a JSON object on a line of its own.
pub(super) struct JsonLines {
    pub(super) component: &'static str,
}

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        let fields = Fields::of(context, event);
        let metadata = event.metadata();
        write!(line, "{{\"time\":\"{:.3}\"", jiff::Timestamp::now())?;
        write!(line, ",\"level\":\"{}\"", metadata.level().as_str().to_ascii_lowercase())?;
        write!(line, ",\"msg\":{}", Value::String(fields.message))?;
        write!(line, ",\"component\":{}", Value::from(self.component))?;
        write!(line, ",\"target\":{}", Value::from(metadata.target()))?;
        for (name, value) in fields.others {
            write!(line, ",{}:{value}", Value::String(name))?;
        }
        writeln!(writer, "{}}}", harmless(&line))
    }
}

/// Each event as a line for people: what a program that reads lines needs besides is left out.
pub(super) struct PrettyLines {
    pub(super) colours: bool,
}

impl<S> FormatEvent<S, JsonFields> for PrettyLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let fields = Fields::of(context, event);
        let level = event.metadata().level();
        let (bright, dim, off) = match (self.colours, *level) {
            (false, _) => ("", "", ""),
            (true, Level::ERROR) => ("\u{1b}[31m", "\u{1b}[2m", "\u{1b}[0m"),
            (true, Level::WARN) => ("\u{1b}[33m", "\u{1b}[2m", "\u{1b}[0m"),
            (true, Level::INFO) => ("\u{1b}[32m", "\u{1b}[2m", "\u{1b}[0m"),
            (true, _) => ("\u{1b}[34m", "\u{1b}[2m", "\u{1b}[0m"),
        };
        write!(writer, "{dim}{:.3}{off} {bright}{:>5}{off} ", jiff::Timestamp::now(), level.as_str())?;
        let message: String =
            fields.message.chars().map(|letter| if letter < ' ' { ' ' } else { letter }).collect();
        write!(writer, "{}", harmless(&message))?;
        for (name, value) in fields.others {
            let text = match &value {
                Value::String(text) if is_plain(text) => text.clone(),
                other => other.to_string(),
            };
            write!(writer, " {dim}{name}={off}{}", harmless(&text))?;
        }
        writeln!(writer)
    }
}

/// Whether a value needs no quotes to be told from what follows.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|letter: char| letter <= ' ' || letter == '"' || letter == '=')
}

/// The fields of an event, in their order; the first of each name counts.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

impl Fields {
    /// Those of the event, then those of the spans around it from the inside out.
    fn of<S>(context: &FmtContext<'_, S, JsonFields>, event: &Event<'_>) -> Self
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut fields = Self::default();
        event.record(&mut fields);
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(formatted) = extensions.get::<FormattedFields<JsonFields>>() else { continue };
            let outer: Map<String, Value> = serde_json::from_str(&formatted.fields).unwrap_or_default();
            outer.into_iter().for_each(|(name, value)| fields.add(&name, value));
        }
        fields
    }

    fn add(&mut self, name: &str, value: Value) {
        let name = match name {
            // These stand in each line already.
            "time" | "level" | "msg" | "component" | "target" => format!("{name}_"),
            _ => name.to_owned(),
        };
        if !self.others.iter().any(|(known, _)| *known == name) {
            self.others.push((name, value));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.add(field.name(), Value::String(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.add(field.name(), value.into());
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value.into());
    }

    /// Such as milliseconds.
    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add(field.name(), u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value.into());
    }
}
