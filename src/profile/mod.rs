//! What one container gets: its limits, its rights, and how its verdict is told from a forged one.
//!
//! A profile is made for each image by the [`policy`](crate::policy) and goes with the container's
//! specification to the engine.

use std::fmt;
use std::time::Duration;

pub mod abilities;
pub mod capabilities;
pub mod reading;

/// The size of `/tmp` where the root is read-only and nothing else is said.
const TMP_SIZE: u64 = 256 << 20;

/// All that one container gets. `None` (and an empty list) means nothing of ours: what the engine gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The rule that it comes from.
    pub rule: RuleName,
    /// Whether the hardened profile is in force (capabilities dropped, no new privileges, read-only
    /// submission, init, no core dumps, a score for the kernel's choice of whom to kill), or the original's.
    pub hardened: bool,
    /// Wall clock from start.
    pub timeout: Option<Duration>,
    /// Bytes of memory, without swap.
    pub memory: Option<u64>,
    /// Processors.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Open files of a process.
    pub nofile: Option<u32>,
    /// Bytes that it may write to its own file system; also the longest file.
    pub disk: Option<u64>,
    /// `none`, `bridge`, or a network's name.
    pub network: String,
    /// OCI runtime; `None` = the engine's own choice.
    pub runtime: Option<String>,
    /// Who its processes run as, `user` or `user:group` by name or number; `None` = as the image says.
    pub user: Option<String>,
    /// Capabilities given back, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Whether its root file system is read-only.
    pub read_only_root: bool,
    /// File systems in memory, which count as its memory.
    pub tmpfs: Vec<Tmpfs>,
    /// Environment variables, each `KEY=value`; they win over those of the job.
    pub env: Vec<String>,
    /// How its verdict is told from one that a submission prints.
    pub verdict: VerdictChannel,
    /// How many containers of this rule may run at once.
    pub most_running: Option<u32>,
}

impl Profile {
    /// Nothing limited and nothing taken away: what the original gave.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            rule: RuleName::settings(),
            hardened: false,
            timeout: None,
            memory: None,
            cpus: None,
            pids: None,
            nofile: None,
            disk: None,
            network: "bridge".to_owned(),
            runtime: None,
            user: None,
            capabilities: Vec::new(),
            read_only_root: false,
            tmpfs: Vec::new(),
            env: Vec::new(),
            verdict: VerdictChannel::Output,
            most_running: None,
        }
    }

    /// The time-out in milliseconds, as labels and jobs carry it; 0 = none.
    #[must_use]
    pub fn timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }

    /// The profile with what follows from the rest of it: who may not write to the root may to `/tmp`, unless
    /// other places are named.
    #[must_use]
    pub fn completed(mut self) -> Self {
        if self.read_only_root && self.tmpfs.is_empty() {
            self.tmpfs.push(Tmpfs { path: "/tmp".to_owned(), size: TMP_SIZE });
        }
        self
    }

    /// What is allowed and looks like a mistake; `name` gives the name under which a person set a thing.
    pub fn warnings(&self, name: impl Fn(&str) -> String) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.network == "host" {
            let network = name("network");
            warnings.push(format!("{network} is host: submissions can reach every service of this machine"));
        }
        if capabilities::give_nearly_all(&self.capabilities) {
            let caps = name("caps");
            warnings.push(format!(
                "{caps} gives containers nearly all rights: a submission can take over the machine"
            ));
        }
        let is_root = |user: &String| matches!(user.split(':').next(), Some("root" | "0"));
        if !self.capabilities.is_empty() && self.user.as_ref().is_some_and(|user| !is_root(user)) {
            let (caps, user) = (name("caps"), name("user"));
            warnings.push(format!(
                "{caps} is without effect: capabilities are root's, and {user} is another user"
            ));
        }
        if self.verdict == VerdictChannel::Secret && self.user.as_ref().is_some_and(|user| !is_root(user)) {
            let (verdict, user) = (name("verdict"), name("user"));
            warnings.push(format!(
                "{verdict} is secret, which only root can read, and {user} is another user: no verdict will count"
            ));
        }
        let in_memory: u64 = self.tmpfs.iter().map(|tmpfs| tmpfs.size).sum();
        if self.memory.is_some_and(|memory| in_memory >= memory) {
            let (tmpfs, memory) = (name("tmpfs"), name("memory"));
            warnings.push(format!(
                "{tmpfs} is not less than {memory}, of which it is a part: who fills it runs out of memory"
            ));
        }
        warnings
    }

    /// The environment of a container whose job brings these variables: of two of one name ours counts.
    #[must_use]
    pub fn environment(&self, params: &[String]) -> Vec<String> {
        let key = |variable: &str| variable.split_once('=').map_or(variable, |(key, _)| key).to_owned();
        let ours: Vec<String> = self.env.iter().map(|variable| key(variable)).collect();
        let theirs = params.iter().filter(|param| !ours.contains(&key(param)));
        theirs.chain(&self.env).cloned().collect()
    }
}

/// The name of the rule that decided; one that is made of the settings alone has a name as well.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleName(String);

impl RuleName {
    /// The name that a policy file gives it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// That of what is decided by the settings alone, without a policy file.
    #[must_use]
    pub fn settings() -> Self {
        Self::new("settings")
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How a verdict is told from one that a submission prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerdictChannel {
    /// Whatever stands in the output counts.
    #[default]
    Output,
    /// Only what stands between separators that hold the correction's secret counts, which only root in the
    /// container can read.
    Secret,
}

impl VerdictChannel {
    /// Each, with its name in settings and in policy files.
    pub const NAMES: [(&'static str, Self); 2] = [("output", Self::Output), ("secret", Self::Secret)];

    /// Its name in settings and in policy files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Secret => "secret",
        }
    }
}

/// A file system in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where it is mounted, absolute.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_variables_of_one_name_the_profiles_counts() {
        let profile = Profile { env: vec!["A=ours".into(), "B=".into()], ..Profile::unlimited() };
        let params = ["A=theirs", "AB=1", "B", "C=2=3"].map(String::from);
        assert_eq!(profile.environment(&params), ["AB=1", "C=2=3", "A=ours", "B="]);
    }

    #[test]
    fn with_a_read_only_root_tmp_can_be_written_unless_other_places_are_named() {
        let completed =
            |tmpfs| Profile { read_only_root: true, tmpfs, ..Profile::unlimited() }.completed().tmpfs;
        assert_eq!(completed(Vec::new()), [Tmpfs { path: "/tmp".into(), size: 256 << 20 }]);
        let run = Tmpfs { path: "/run".into(), size: 1 };
        assert_eq!(completed(vec![run.clone()]), [run]);
        assert_eq!(Profile::unlimited().completed(), Profile::unlimited());
    }

    #[test]
    fn what_looks_like_a_mistake_is_told_by_the_names_that_were_used() {
        let warnings = |profile: Profile| profile.warnings(|key| format!("<{key}>")).join("\n");
        assert_eq!(warnings(Profile::unlimited()), "");
        let caps = |cap: &str, user: Option<&str>| Profile {
            capabilities: vec![cap.into()],
            user: user.map(str::to_owned),
            ..Profile::unlimited()
        };
        assert_eq!(warnings(caps("CHOWN", Some("root"))) + &warnings(caps("CHOWN", Some("0:5"))), "");
        assert!(warnings(caps("CHOWN", Some("1000"))).contains("<caps> is without effect"));
        assert!(warnings(caps("SYS_ADMIN", None)).contains("<caps> gives containers nearly all rights"));
        let host = Profile { network: "host".into(), ..Profile::unlimited() };
        assert!(warnings(host).starts_with("<network> is host"));
        let tmpfs = vec![Tmpfs { path: "/tmp".into(), size: 5 }];
        let full = Profile { memory: Some(5), tmpfs, ..Profile::unlimited() };
        assert!(warnings(full).starts_with("<tmpfs> is not less than <memory>"));
    }

    #[test]
    fn a_time_out_is_carried_in_milliseconds_and_none_as_0() {
        let with = |timeout| Profile { timeout, ..Profile::unlimited() }.timeout_ms();
        assert_eq!((with(None), with(Some(Duration::from_millis(1500)))), (0, 1500));
        assert_eq!(with(Some(Duration::MAX)), u64::MAX);
    }
}
