//! What every component needs: Redis, the queues, logging.

use super::{DURATION, LOG, NUMBER, PLAIN, Setting};

pub(super) const REDIS_AND_QUEUES: &[Setting] = &[
    Setting {
        name: "REDIS_HOST",
        value: "HOST",
        default: "127.0.0.1",
        help: "Host name or address of Redis",
        ..PLAIN
    },
    Setting { name: "REDIS_PORT", value: "PORT", default: "6379", help: "TCP port of Redis", ..PLAIN },
    Setting { name: "REDIS_USER", help: "User of Redis; counts only together with a password", ..PLAIN },
    Setting {
        name: "REDIS_PASSWORD",
        secret: true,
        help: "Password of Redis; better given in the environment or in .env, since others can see a process's flags",
        ..PLAIN
    },
    Setting {
        name: "REDIS_URL",
        value: "URL",
        secret: true,
        help: "All of the above in one: redis://user:password@host:port/database, or rediss:// for an encrypted \
               connection. Wins over them. Special characters in it are percent-encoded",
        ..PLAIN
    },
    Setting { name: "REDIS_DB", value: NUMBER, default: "0", help: "Number of the Redis database", ..PLAIN },
    Setting {
        name: "QUEUE_PREFIX",
        default: "bull",
        help: "Prefix of BullMQ's keys; the same as your API server has",
        ..PLAIN
    },
    Setting {
        name: "KEEP_COMPLETED",
        value: NUMBER,
        default: "1000",
        help: "How many completed jobs stay in Redis, per queue",
        ..PLAIN
    },
    Setting {
        name: "KEEP_FAILED",
        value: NUMBER,
        default: "5000",
        help: "How many failed jobs stay in Redis, per queue. Results that could not be delivered stay 30 days whatever \
               their number, up to 100,000",
        ..PLAIN
    },
    Setting {
        name: "INSTANCE_ID",
        value: "NAME",
        unset: "made once and kept in Redis",
        help: "The name of this installation; containers carry it, so that two installations can share a Docker engine",
        ..PLAIN
    },
];

pub(super) const LOGGING_AND_START: &[Setting] = &[
    Setting {
        name: "CONNECT_WAIT",
        group: LOG,
        value: DURATION,
        unset: "for ever",
        help: "How long to wait at start for Redis and Docker to be there (a bare number is in seconds)",
        ..PLAIN
    },
    Setting {
        name: "HTTP_LISTEN",
        group: LOG,
        value: "ADDRESS:PORT",
        unset: "nowhere",
        help: "Where to answer over HTTP: /metrics for Prometheus, /healthz, /readyz; such as 127.0.0.1:9464. Whoever can \
               reach it can read them; each process needs a port of its own",
        ..PLAIN
    },
    Setting {
        name: "LOG_LEVEL",
        group: LOG,
        value: "LEVEL",
        default: "info",
        help: "trace, debug, info, warn, error, fatal or silent",
        ..PLAIN
    },
    Setting {
        name: "LOG_FILE",
        group: LOG,
        value: "PATH",
        unset: "the standard output",
        help: "Append the log to a file; 1 is the standard output, 2 the standard error",
        ..PLAIN
    },
    Setting {
        name: "LOG_FORMAT",
        group: LOG,
        value: "FORMAT",
        unset: "json, or pretty on a terminal and under NODE_ENV=development",
        help: "'json', one object a line, or 'pretty'",
        ..PLAIN
    },
];
