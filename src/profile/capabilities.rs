//! Linux's capabilities: which there are, and how a list of them is read.

/// Every capability of Linux 6, and all of them.
const ALL: &[&str] = &[
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// Reads a list of capabilities, with or without `CAP_`, between commas or white space; `none` for none.
///
/// # Errors
/// What is allowed, as a phrase, where a word is none.
pub fn read(text: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
        let name = word.to_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        if name == "NONE" {
            continue;
        }
        if !ALL.contains(&name) {
            return Err(format!("none, or Linux capabilities such as CHOWN,SETUID; {word:?} is none"));
        }
        if !all.iter().any(|known| known == name) {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}

/// Whether one of them gives a container nearly all rights over the machine.
#[must_use]
pub fn give_nearly_all(capabilities: &[String]) -> bool {
    capabilities.iter().any(|capability| matches!(capability.as_str(), "ALL" | "SYS_ADMIN"))
}
