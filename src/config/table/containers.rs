//! What containers are allowed, how they are started, and how their results are collected.

use super::{
    C, CLEARING as AWAY, DURATION, ENDINGS, NUMBER, PLAIN, S, SANDBOX, SC, SIZE, STARTS, Setting, YES_NO,
};

pub(super) const SANDBOX_LIMITS: &[Setting] = &[
    Setting {
        name: "CONTAINER_PROFILE",
        group: SANDBOX,
        value: "PROFILE",
        default: "hardened",
        help: "'hardened', or 'original' to run containers as the JavaScript runner did: network bridge, Docker's \
               capabilities, a writable submission, no limits, and its rates of starts and deliveries. What is set \
               explicitly wins",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_TIMEOUT",
        users: S,
        group: SANDBOX,
        value: DURATION,
        default: "600s",
        original: Some("0"),
        help: "How long a container may run; 0 = for ever (a bare number is in seconds)",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_MEMORY",
        users: S,
        group: SANDBOX,
        value: SIZE,
        default: "1g",
        original: Some("0"),
        help: "Memory of a container; 0 = no limit (k, m, g; a bare number is in bytes)",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_CPUS",
        users: S,
        group: SANDBOX,
        value: NUMBER,
        default: "1",
        original: Some("0"),
        help: "Processors of a container, such as 0.5; 0 = no limit",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_PIDS",
        users: S,
        group: SANDBOX,
        value: NUMBER,
        default: "512",
        original: Some("0"),
        help: "Processes and threads of a container; 0 = no limit",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_NOFILE",
        users: S,
        group: SANDBOX,
        value: NUMBER,
        default: "8192",
        original: Some("0"),
        help: "Open files of each process; 0 = the engine's own limit",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_DISK",
        users: S,
        group: SANDBOX,
        value: SIZE,
        default: "2g",
        original: Some("0"),
        help: "How much a container may write to its own file system, and how long a file may be; 0 = no limit (k, m, \
               g; a bare number is in bytes). Where the engine cannot hold it (see the warning at start) the kernel \
               holds the length of each file, and the completer looks every few seconds",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_NETWORK",
        users: S,
        group: SANDBOX,
        value: "NETWORK",
        default: "none",
        original: Some("bridge"),
        help: "'none', 'bridge', or the name of a Docker network",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_CAPS",
        users: S,
        group: SANDBOX,
        value: "LIST",
        unset: "none",
        help: "Linux capabilities given back to containers, such as CHOWN,SETUID",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_RUNTIME",
        users: S,
        group: SANDBOX,
        value: "NAME",
        unset: "the engine's own",
        help: "The OCI runtime that containers run in, such as runsc",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_USER",
        users: S,
        group: SANDBOX,
        value: "USER[:GROUP]",
        unset: "the image's own",
        help: "Who graders run as, such as 1000:1000; it must be able to read the submission's file",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_READ_ONLY",
        users: S,
        group: SANDBOX,
        value: YES_NO,
        default: "no",
        help: "Make a container's root file system read-only; then graders write to CONTAINER_TMPFS",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_TMPFS",
        users: S,
        group: SANDBOX,
        value: "LIST",
        unset: "none, or /tmp:256m with CONTAINER_READ_ONLY",
        help: "File systems in memory, such as /tmp:64m,/run:1m; what is in them counts as the container's memory. \
               /dev/shm is there anyway, with 64m, and can be given another size",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_VERDICT",
        users: S,
        group: SANDBOX,
        value: "CHANNEL",
        default: "output",
        help: "'output': what a container prints is its verdict; 'secret': only between separators with a secret that \
               root in the container can read, so that a submission cannot forge it (docs/secret-verdict.md)",
        ..PLAIN
    },
    Setting {
        name: "POLICY_FILE",
        users: S,
        group: SANDBOX,
        value: "PATH",
        help: "A TOML file that says which images may run and what their containers get, other than the settings here \
               (docs/policy.md). It is read again on SIGHUP; 'correction-runner policy check' tells what it means",
        ..PLAIN
    },
];

pub(super) const STARTING: &[Setting] = &[
    Setting {
        name: "DONT_START_CONTAINER",
        users: S,
        group: STARTS,
        value: YES_NO,
        default: "no",
        help: "Test mode: containers are created and never started; you start them by hand",
        ..PLAIN
    },
    Setting {
        name: "CONCURRENT_STARTERS",
        users: S,
        group: STARTS,
        value: NUMBER,
        default: "8",
        help: "How many containers are being started at a time",
        ..PLAIN
    },
    Setting {
        name: "MAX_RUNNING",
        users: S,
        group: STARTS,
        value: NUMBER,
        original: Some("0"),
        unset: "from the host's processors and memory",
        help: "How many containers run at once on one Docker host, those of all its starters together; 0 = no limit",
        ..PLAIN
    },
    Setting {
        name: "MIN_FREE_DISK",
        users: S,
        group: STARTS,
        value: SIZE,
        default: "1g",
        original: Some("0"),
        help: "Nothing is started while less is free where Docker keeps its files; 0 = never mind (k, m, g; a bare \
               number is in bytes). Needs an engine of this machine",
        ..PLAIN
    },
    Setting {
        name: "MIN_FREE_MEMORY",
        users: S,
        group: STARTS,
        value: SIZE,
        default: "256m",
        original: Some("0"),
        help: "Nothing is started while less memory of the machine is free; 0 = never mind (k, m, g; a bare number is \
               in bytes). Needs an engine of this machine",
        ..PLAIN
    },
    Setting {
        name: "START_RATE_MAX",
        users: S,
        group: STARTS,
        value: NUMBER,
        default: "0",
        original: Some("10"),
        help: "At most so many starts in each START_RATE_DURATION; 0 = no limit",
        ..PLAIN
    },
    Setting {
        name: "START_RATE_DURATION",
        users: S,
        group: STARTS,
        value: DURATION,
        default: "5000ms",
        help: "See START_RATE_MAX (a bare number is in ms)",
        ..PLAIN
    },
    Setting {
        name: "START_RETRY_FOR",
        users: S,
        group: STARTS,
        value: DURATION,
        default: "1h",
        help: "How long a start is tried that fails for a reason that may go away (a bare number is in hours); while \
               the engine is away none is tried, and that time does not count",
        ..PLAIN
    },
    Setting {
        name: "EXERCISE_FOLDERS",
        users: SC,
        group: STARTS,
        value: "FOLDERS",
        unset: "any but the host's own",
        help: "The folders that the jobs' files have to lie in, on the Docker host, such as /srv/uploads:/srv/more. \
               Recommended: without it whoever can add jobs has any file of the host shown to a grader, but for \
               /proc, /sys, /dev, /run and what is the engine's. A folder below /dev, /run or the engine's (a volume: \
               /var/lib/docker/volumes/uploads/_data) has to be listed here",
        ..PLAIN
    },
];

pub(super) const COLLECTING: &[Setting] = &[
    Setting {
        name: "CONTAINER_OUTPUT_LIMIT",
        users: C,
        group: ENDINGS,
        value: SIZE,
        default: "1m",
        help: "How much of a container's output is kept, its beginning and its end (k, m, g; a bare number is in bytes)",
        ..PLAIN
    },
    Setting {
        name: "SWEEP_INTERVAL",
        users: C,
        group: ENDINGS,
        value: DURATION,
        default: "30s",
        help: "Time between two looks for what Docker's events missed (a bare number is in seconds)",
        ..PLAIN
    },
    Setting {
        name: "CONTAINER_RERUNS",
        users: C,
        group: ENDINGS,
        value: NUMBER,
        default: "2",
        original: Some("0"),
        help: "How often a correction is run again that the Docker host failed, since the engine went away or the disk \
               was full; 0 = never, it is told at once",
        ..PLAIN
    },
];

pub(super) const CLEARING: &[Setting] = &[
    Setting {
        name: "REMOVE_EXERCISE",
        users: C,
        group: AWAY,
        value: YES_NO,
        default: "no",
        help: "Delete the submission's file once a verdict, or a failure by its own fault, is safe in the queue. Needs \
               EXERCISE_FOLDERS, and a completer that sees them under the same paths and may delete there. What stays is \
               told in docs/operating.md",
        ..PLAIN
    },
    Setting {
        name: "IMAGES_KEEP_FOR",
        users: C,
        group: AWAY,
        value: DURATION,
        unset: "for ever",
        help: "Remove images that this runner pulled and that no correction used for so long, such as 30d (a bare \
               number is in hours)",
        ..PLAIN
    },
    Setting {
        name: "IMAGES_MIN_FREE_DISK",
        users: C,
        group: AWAY,
        value: SIZE,
        unset: "no threshold",
        help: "While the engine's disk has less room than this, remove those images that no correction used for the \
               longest time (k, m, g; a bare number is in bytes). For an engine of this machine whose folder the completer \
               sees",
        ..PLAIN
    },
];
