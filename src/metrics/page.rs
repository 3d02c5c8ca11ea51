//! The page of all metrics as text, in the two formats that scrapers ask for.
//!
//! `OpenMetrics` 1.0.0: <https://prometheus.io/docs/specs/om/open_metrics_spec/>; Prometheus' text format 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>. They differ in the name that a counter's and an
//! info's family has, in the units and in the last line.

use std::fmt::Write;

use super::kinds::Series;

/// How the page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Format {
    /// The type of content.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
    /// Words about the process, in labels; always 1.
    Info,
}

impl Kind {
    /// Its name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// A label of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelOf {
    /// Its name.
    pub name: &'static str,
    /// The values that it can have; none = they are known only when it runs.
    pub values: Vec<&'static str>,
}

/// One metric, as the list of all of them has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, as queries have it. (A histogram's samples add `_bucket`, `_sum` and `_count`.)
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What it is measured in; `None` = it is a number of something.
    pub unit: Option<&'static str>,
    /// What it means.
    pub help: &'static str,
    /// Its labels.
    pub labels: Vec<LabelOf>,
}

impl Metric {
    pub(super) fn of<S: Series>(name: &'static str, help: &'static str) -> Self {
        let (kind, bare) = (S::KIND, bare(name));
        let unit = ["seconds", "bytes"].into_iter().find(|unit| bare.ends_with(&format!("_{unit}")));
        Self { name, kind, unit, help: help.trim(), labels: S::labels() }
    }
}

/// A name without what its kind adds to it.
fn bare(name: &str) -> &str {
    name.strip_suffix("_total").or_else(|| name.strip_suffix("_info")).unwrap_or(name)
}

/// The page while it is being written.
#[derive(Debug)]
pub struct Page {
    text: String,
    format: Format,
}

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { text: String::with_capacity(32 << 10), format }
    }

    pub(super) fn family(&mut self, metric: &Metric, write: impl FnOnce(&mut Lines<'_>)) {
        let Metric { name, kind, unit, help, .. } = metric;
        let text = &mut self.text;
        // What is written to a string does not fail.
        let _ = match self.format {
            Format::OpenMetrics => {
                let name = bare(name);
                let _ = writeln!(text, "# TYPE {name} {}", kind.name());
                let _ = unit.map(|unit| writeln!(text, "# UNIT {name} {unit}"));
                writeln!(text, "# HELP {name} {help}")
            }
            Format::Prometheus => {
                let kind = if *kind == Kind::Info { Kind::Gauge } else { *kind };
                let _ = writeln!(text, "# HELP {name} {help}");
                writeln!(text, "# TYPE {name} {}", kind.name())
            }
        };
        write(&mut Lines { text, name: bare(name), labels: String::new() });
    }

    /// The whole page.
    #[must_use]
    pub fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// The lines of one metric's samples.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a mut String,
    name: &'static str,
    labels: String,
}

impl Lines<'_> {
    /// Writes lines that have one more label.
    pub(super) fn with(&mut self, label: &str, value: &str, write: impl FnOnce(&mut Self)) {
        self.with_all(&[(label, value)], write);
    }

    /// Writes lines that have some more labels.
    pub(super) fn with_all(&mut self, labels: &[(&str, &str)], write: impl FnOnce(&mut Self)) {
        let before = self.labels.len();
        for (label, value) in labels {
            if !self.labels.is_empty() {
                self.labels.push(',');
            }
            let _ = write!(self.labels, "{label}=\"");
            value.chars().for_each(|letter| match letter {
                '\\' | '"' => self.labels.extend(['\\', letter]),
                '\n' => self.labels.push_str("\\n"),
                _ => self.labels.push(letter),
            });
            self.labels.push('"');
        }
        write(self);
        self.labels.truncate(before);
    }

    /// One sample; `ending` is what the kind adds to the name.
    pub(super) fn whole(&mut self, ending: &str, value: u64) {
        self.begin(ending);
        let _ = writeln!(self.text, " {value}");
    }

    /// One sample.
    pub(super) fn number(&mut self, ending: &str, value: f64) {
        self.begin(ending);
        let _ = match value {
            f64::INFINITY => writeln!(self.text, " +Inf"),
            _ => writeln!(self.text, " {value}"),
        };
    }

    fn begin(&mut self, ending: &str) {
        self.text.push_str(self.name);
        self.text.push_str(ending);
        if !self.labels.is_empty() {
            let _ = write!(self.text, "{{{}}}", self.labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counter, Family, Label, Level, Listed, QueueName, table};

    fn page<S: Series>(format: Format, name: &'static str, series: &S) -> String {
        let mut page = Page::new(format);
        page.family(&Metric::of::<S>(name, " What it means."), |lines| series.write(lines));
        page.end()
    }

    #[test]
    fn a_counter_has_the_name_that_each_format_gives_it() {
        let counters = Family::<QueueName, Counter>::default();
        counters.of(QueueName::all()[0]).add(7);
        let samples = "losses_total{queue=\"pending_corrections\"} 7\nlosses_total{queue=\"running_corrections\"} 0\n\
                       losses_total{queue=\"finished_corrections\"} 0\n";
        assert_eq!(
            page(Format::OpenMetrics, "losses_total", &counters),
            format!("# TYPE losses counter\n# HELP losses What it means.\n{samples}# EOF\n")
        );
        assert_eq!(
            page(Format::Prometheus, "losses_total", &counters),
            format!("# HELP losses_total What it means.\n# TYPE losses_total counter\n{samples}")
        );
    }

    #[test]
    fn units_and_infos_are_told_where_there_is_a_word_for_them() {
        let level = Level::default();
        level.set(0.5);
        assert_eq!(
            page(Format::OpenMetrics, "age_seconds", &level),
            "# TYPE age_seconds gauge\n# UNIT age_seconds seconds\n# HELP age_seconds What it means.\nage_seconds 0.5\n\
             # EOF\n"
        );
        let build = Listed::<table::Build>::default();
        build.are([(vec!["1".into(), "a\"b\\c\nd".into(), "all".into()], 1.0)]);
        let sample = "build_info{version=\"1\",revision=\"a\\\"b\\\\c\\nd\",component=\"all\"} 1\n";
        assert_eq!(
            page(Format::OpenMetrics, "build_info", &build),
            format!("# TYPE build info\n# HELP build What it means.\n{sample}# EOF\n")
        );
        assert_eq!(
            page(Format::Prometheus, "build_info", &build),
            format!("# HELP build_info What it means.\n# TYPE build_info gauge\n{sample}")
        );
    }
}
