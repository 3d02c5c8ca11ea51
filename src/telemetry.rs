//! The log: its level, its destination, its format.
//!
//! A line of JSON is one object: `time` (RFC 3339, UTC), `level` (trace to error), `msg`, `component`,
//! `target` (the module), and the fields of the event and of the spans around it beside them.
//!
//! Of the libraries that we use only warnings and errors are shown, whatever the level: at their lower
//! levels they write down whole requests, with the passwords in them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogDestination, LogFormat, LogLevel, LogSettings};
use crate::startup::BadSetting;
use lines::{JsonLines, PrettyLines};

mod lines;

/// Starts the log of this process, panics included.
///
/// # Errors
/// When the file cannot be opened.
pub fn start(settings: &LogSettings, component: &'static str) -> Result<(), BadSetting> {
    let (writer, terminal) = match &settings.destination {
        LogDestination::StandardOutput => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        LogDestination::StandardError => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
        LogDestination::File(path) => (BoxMakeWriter::new(Arc::new(open(path)?)), false),
    };
    let format = settings.format.unwrap_or(if terminal { LogFormat::Pretty } else { LogFormat::Json });
    let layer = layer(format, component, writer, terminal).with_filter(filter(settings.level));
    // It fails only where a log was started before, which then goes on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "a fault in the program (panic) at {place}: {text}");
    }));
    Ok(())
}

fn open(path: &Path) -> Result<File, BadSetting> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|error| BadSetting::new("LOG_FILE", format!("cannot write to {}: {error}", path.display())))
}

fn filter(level: LogLevel) -> Targets {
    let ours = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Fatal => LevelFilter::ERROR,
        LogLevel::Silent => LevelFilter::OFF,
    };
    Targets::new().with_default(ours.min(LevelFilter::WARN)).with_target("correction_runner", ours)
}

fn layer(
    format: LogFormat,
    component: &'static str,
    writer: BoxMakeWriter,
    colours: bool,
) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Pretty => {
            layer.fmt_fields(JsonFields::new()).event_format(PrettyLines { colours }).with_ansi(false).boxed()
        }
        LogFormat::Json => {
            let lines = JsonLines { component };
            layer.fmt_fields(JsonFields::new()).event_format(lines).with_ansi(false).boxed()
        }
    }
}

/// A line of JSON in which what a terminal may act on, or hides text with, is escaped. JSON itself asks for
/// that of the first 32 characters only; outside of strings there are none of these.
pub(crate) fn harmless(line: &str) -> Cow<'_, str> {
    let acts = |letter: char| letter > ' ' && acts_on_terminals(letter);
    if !line.contains(acts) {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for letter in line.chars() {
        if acts(letter) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character makes a terminal act, or hides or reorders the text around it.
pub(crate) fn acts_on_terminals(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::Value;
    use tracing::{debug, info, info_span, warn};

    use super::*;

    /// What is logged at a level in a format.
    fn logged(level: LogLevel, format: LogFormat, work: impl FnOnce()) -> String {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let writer = BoxMakeWriter::new(move || Sink(Arc::clone(&sink)));
        let layer = layer(format, "starter", writer, false).with_filter(filter(level));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_json_object_with_its_fields_beside_its_text() {
        let text = logged(LogLevel::Info, LogFormat::Json, || {
            let _outer = info_span!("outer", job = "7", attempt = 1).entered();
            let _inner = info_span!("inner", attempt = 2).entered();
            info!(seconds = 1.5, ms = 7_u128, ok = true, level = "mine", error = %"a \"b\"\n", "took {} s", 1.5);
            warn!("second");
        });
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        let first = &lines[0];
        let time = first["time"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok() && time.len() == 24, "{time}");
        for (name, value) in [
            ("level", Value::from("info")),
            ("msg", "took 1.5 s".into()),
            ("component", "starter".into()),
            ("target", "correction_runner::telemetry::tests".into()),
            ("seconds", 1.5.into()),
            ("ms", 7.into()),
            ("ok", true.into()),
            ("level_", "mine".into()),
            ("error", "a \"b\"\n".into()),
            ("job", "7".into()),
            ("attempt", 2.into()),
        ] {
            assert_eq!(first[name], value, "{name} in {text}");
        }
        assert_eq!(lines[1]["level"], "warn");
        assert!(text.starts_with("{\"time\":"), "{text}");
    }

    #[test]
    fn a_line_for_people_has_each_field_once_and_is_one_line() {
        let text = logged(LogLevel::Info, LogFormat::Pretty, || {
            let _outer = info_span!("outer", job_id = "7", attempt = 1, image = "a b").entered();
            info!(attempt = 2, error = %"a \u{1b}[31m\nb", "two\nlines");
        });
        assert!(
            text.ends_with(
                "Z  INFO two lines attempt=2 error=\"a \\u001b[31m\\nb\" image=\"a b\" job_id=7\n"
            ),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn libraries_show_their_warnings_only_however_talkative_the_level() {
        let text = logged(LogLevel::Trace, LogFormat::Json, || {
            debug!("ours");
            debug!(target: "hyper::client", "a whole request");
            warn!(target: "hyper::client", "theirs");
        });
        let texts: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let texts: Vec<_> = texts.iter().map(|line| line["msg"].as_str().unwrap()).collect();
        assert_eq!(texts, ["ours", "theirs"]);
    }

    #[test]
    fn silent_is_silent_and_fatal_shows_errors_only() {
        let work = || {
            warn!("a warning");
            error!("an error");
            error!(target: "hyper", "their error");
        };
        assert_eq!(logged(LogLevel::Silent, LogFormat::Json, work), "");
        let text = logged(LogLevel::Fatal, LogFormat::Pretty, work);
        assert!(!text.contains("a warning") && text.contains("an error"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_written_to_is_an_error_that_names_it() {
        let settings = LogSettings {
            level: LogLevel::Info,
            destination: LogDestination::File("/no/such/directory/log".into()),
            format: None,
        };
        let error = start(&settings, "all").unwrap_err().to_string();
        assert!(error.starts_with("LOG_FILE: cannot write to /no/such/directory/log"), "{error}");
    }

    #[test]
    fn what_a_terminal_may_act_on_is_escaped_and_the_rest_is_as_it_was() {
        let text = "é \u{9b}31m \u{7f} \u{202e}x\u{61c}\u{feff} 𝄞";
        let line = Value::String(text.to_owned()).to_string();
        let shown = harmless(&line);
        assert_eq!(shown, "\"é \\u009b31m \\u007f \\u202ex\\u061c\\ufeff 𝄞\"");
        assert_eq!(serde_json::from_str::<String>(&shown).expect("JSON"), text);
        assert!(matches!(harmless("{\"a\":\"é\"}"), Cow::Borrowed(_)));
    }
}
