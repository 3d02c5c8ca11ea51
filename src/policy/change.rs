//! The keys with which a policy file says what containers get, and what each changes.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use crate::profile::reading;
use crate::profile::{Profile, Tmpfs, VerdictChannel, capabilities};

/// The keys, in the order in which documents show them.
pub const KEYS: [&str; 16] = [
    "profile",
    "timeout",
    "memory",
    "cpus",
    "pids",
    "nofile",
    "disk",
    "network",
    "caps",
    "runtime",
    "user",
    "read_only",
    "tmpfs",
    "env",
    "verdict",
    "most_running",
];

/// One thing that containers get other than the settings say.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Hardened(bool),
    Timeout(Option<Duration>),
    Memory(Option<u64>),
    Cpus(Option<f64>),
    Pids(Option<u32>),
    Nofile(Option<u32>),
    Disk(Option<u64>),
    Network(String),
    Caps(Vec<String>),
    Runtime(Option<String>),
    User(Option<String>),
    ReadOnly(bool),
    Tmpfs(Vec<Tmpfs>),
    Env(Vec<String>),
    Verdict(VerdictChannel),
    MostRunning(Option<u32>),
}

/// Reads what a key of [`KEYS`] says. Reports what is wrong with its value.
pub fn read(key: &str, value: &Spanned<DeValue<'_>>, faults: &mut Faults<'_>) -> Option<Change> {
    let read = match (key, value.get_ref()) {
        ("env", DeValue::Table(table)) => {
            let wanted = "a text in quotes, or a number";
            return Some(Change::Env(each(("env", table), wanted, reading::variable, faults)));
        }
        ("tmpfs", DeValue::Table(table)) => {
            let wanted = "a size, such as \"64m\"";
            return Some(Change::Tmpfs(each(("tmpfs", table), wanted, reading::one_tmpfs, faults)));
        }
        ("caps", DeValue::Array(_)) => {
            let all = super::read::texts(value, "capabilities, such as [\"CHOWN\"]", faults)?;
            capabilities::read(&all.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(","))
                .map(Change::Caps)
        }
        ("read_only", DeValue::Boolean(value)) => Ok(Change::ReadOnly(*value)),
        ("env", _) => Err("a table, such as { OUT_OF = \"100\" }".to_owned()),
        ("tmpfs", _) => Err("a table of paths and sizes, such as { \"/tmp\" = \"64m\" }".to_owned()),
        ("caps", _) => Err("a list of capabilities, such as [\"CHOWN\"]; [] for none".to_owned()),
        ("read_only", _) => Err("true or false".to_owned()),
        (key, value) => scalar(key, value),
    };
    read.map_err(|allowed| faults.value(key, value, &allowed)).ok()
}

fn scalar(key: &str, value: &DeValue<'_>) -> Result<Change, String> {
    let is_number = matches!(value, DeValue::Integer(_) | DeValue::Float(_));
    // Names are texts, even those of digits: a user 1000 is one that is written "1000".
    let text = text_of(value).filter(|_| !is_number || !matches!(key, "network" | "runtime" | "user"));
    let text = text.ok_or_else(|| "a text in quotes".to_owned())?;
    let text = text.trim();
    // Empty: as the engine, or the image, has it.
    let optional = |read: fn(&str) -> Result<String, String>| {
        if text.is_empty() { Ok(None) } else { read(text).map(Some) }
    };
    Ok(match key {
        "profile" => Change::Hardened(reading::hardened(text)?),
        "timeout" => Change::Timeout(reading::timeout(text)?),
        "memory" => Change::Memory(reading::memory(text)?),
        "cpus" => Change::Cpus(reading::cpus(text)?),
        "pids" => Change::Pids(reading::pids(text)?),
        "nofile" => Change::Nofile(reading::nofile(text)?),
        "disk" => Change::Disk(reading::disk(text)?),
        "network" => Change::Network(reading::network(text)?),
        "runtime" => Change::Runtime(optional(reading::runtime)?),
        "user" => Change::User(optional(reading::user)?),
        "verdict" => Change::Verdict(reading::verdict(text)?),
        "most_running" => Change::MostRunning(reading::most_running(text)?),
        _ => return Err(KEYS.join(", ")),
    })
}

/// A text or a number as one would write it in a setting.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// What stands in a table of names and texts, read one by one; `wanted` says what a text here is.
fn each<T>(
    (table_name, table): (&str, &DeTable<'_>),
    wanted: &str,
    read: impl Fn(&str, &str) -> Result<T, String>,
    faults: &mut Faults<'_>,
) -> Vec<T> {
    let mut all = Vec::new();
    for (name, value) in in_order(table) {
        let text = text_of(value.get_ref()).ok_or_else(|| wanted.to_owned());
        match text.and_then(|text| read(name.get_ref(), &text)) {
            Ok(one) => all.push(one),
            Err(allowed) => faults.value(&format!("{table_name}.{}", name.get_ref()), value, &allowed),
        }
    }
    all
}

type Entry<'t, 'i> = (&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>);

/// The entries of a table in the order in which they stand in the file.
pub fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

impl Change {
    /// Whether it chooses what all other changes are made to.
    pub fn hardened(&self) -> Option<bool> {
        if let Self::Hardened(hardened) = self { Some(*hardened) } else { None }
    }

    /// Makes the change. A variable takes the place of one with its name; all else takes the place of what
    /// was there.
    pub fn apply(&self, profile: &mut Profile) {
        match self {
            Self::Hardened(_) => {}
            Self::Timeout(timeout) => profile.timeout = *timeout,
            Self::Memory(memory) => profile.memory = *memory,
            Self::Cpus(cpus) => profile.cpus = *cpus,
            Self::Pids(pids) => profile.pids = *pids,
            Self::Nofile(nofile) => profile.nofile = *nofile,
            Self::Disk(disk) => profile.disk = *disk,
            Self::Network(network) => profile.network.clone_from(network),
            Self::Caps(capabilities) => profile.capabilities.clone_from(capabilities),
            Self::Runtime(runtime) => profile.runtime.clone_from(runtime),
            Self::User(user) => profile.user.clone_from(user),
            Self::ReadOnly(read_only) => profile.read_only_root = *read_only,
            Self::Tmpfs(tmpfs) => profile.tmpfs.clone_from(tmpfs),
            Self::Env(env) => {
                let before = std::mem::take(&mut profile.env);
                profile.env.clone_from(env);
                profile.env = profile.environment(&before);
            }
            Self::Verdict(verdict) => profile.verdict = *verdict,
            Self::MostRunning(most) => profile.most_running = *most,
        }
    }
}
