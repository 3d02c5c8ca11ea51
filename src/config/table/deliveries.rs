//! How results reach the caller.

use super::{DELIVERIES, DURATION, N, NUMBER, PLAIN, SC, Setting, YES_NO};

pub(super) const DELIVERING: &[Setting] = &[
    Setting {
        name: "NOTIFY_ATTEMPTS",
        users: SC,
        group: DELIVERIES,
        value: NUMBER,
        default: "10",
        help: "How often the delivery of a result is tried; written into each result when it is queued",
        ..PLAIN
    },
    Setting {
        name: "NOTIFY_BACKOFF",
        users: SC,
        group: DELIVERIES,
        value: DURATION,
        default: "5000ms",
        help: "The wait after the first failed delivery; it doubles each time (a bare number is in ms)",
        ..PLAIN
    },
    Setting {
        name: "NOTIFY_SCHEDULE",
        users: SC,
        group: DELIVERIES,
        value: "DURATIONS",
        help: "The waits between deliveries one by one, such as 5s,30s,5m,1h,6h,24h, in place of NOTIFY_ATTEMPTS and \
               NOTIFY_BACKOFF: one attempt more than there are waits (a bare number is in seconds)",
        ..PLAIN
    },
    Setting {
        name: "CONCURRENT_NOTIFIERS",
        users: N,
        group: DELIVERIES,
        value: NUMBER,
        default: "50",
        help: "How many deliveries are under way at a time; those that wait long for an answer make room for others",
        ..PLAIN
    },
    Setting {
        name: "NOTIFY_RATE_MAX",
        users: N,
        group: DELIVERIES,
        value: NUMBER,
        default: "0",
        original: Some("20"),
        help: "At most so many deliveries in each NOTIFY_RATE_DURATION; 0 = no limit",
        ..PLAIN
    },
    Setting {
        name: "NOTIFY_RATE_DURATION",
        users: N,
        group: DELIVERIES,
        value: DURATION,
        default: "1000ms",
        help: "See NOTIFY_RATE_MAX (a bare number is in ms)",
        ..PLAIN
    },
    Setting {
        name: "NOTIFY_TIMEOUT",
        users: N,
        group: DELIVERIES,
        value: DURATION,
        default: "60000ms",
        help: "Time for one delivery in all (a bare number is in ms)",
        ..PLAIN
    },
    Setting {
        name: "NOTIFY_SIGNING_KEYS",
        users: N,
        group: DELIVERIES,
        value: "KEYS",
        unset: "nothing is signed",
        secret: true,
        help: "Keys that sign each callback (Standard Webhooks), with white space between them: whsec_… (HMAC-SHA256) \
               or whsk_… (ed25519); all of them sign, so that keys can be exchanged",
        ..PLAIN
    },
    Setting {
        name: "NOTIFY_SIGNING_KEYS_FILE",
        users: N,
        group: DELIVERIES,
        value: "PATH",
        help: "A file with more such keys, or with private ed25519 keys as PEM, and # before remarks",
        ..PLAIN
    },
    Setting {
        name: "PRIVATE_KEY_PASSWORD",
        users: N,
        group: DELIVERIES,
        secret: true,
        help: "The password of encrypted PEM keys in that file",
        ..PLAIN
    },
    Setting {
        name: "CALLBACK_CA_FILE",
        aliases: &["NODE_EXTRA_CA_CERTS"],
        users: N,
        group: DELIVERIES,
        value: "PATH",
        help: "A PEM file with more authorities whose https certificates are trusted",
        ..PLAIN
    },
    Setting {
        name: "CALLBACK_POLICY",
        users: N,
        group: DELIVERIES,
        value: "POLICY",
        default: "private",
        help: "Where callbacks may go: 'private' (private networks and the internet), 'public' (the internet only), or \
               'listed' (only what CALLBACK_ALLOW names)",
        ..PLAIN
    },
    Setting {
        name: "CALLBACK_ALLOW",
        users: N,
        group: DELIVERIES,
        value: "LIST",
        help: "Where callbacks may go although CALLBACK_POLICY says no: hosts, *.domains, addresses and networks, each \
               with or without a port, between commas. Link-local and metadata addresses and the like never",
        ..PLAIN
    },
    Setting {
        name: "CALLBACK_DENY",
        users: N,
        group: DELIVERIES,
        value: "LIST",
        help: "Where callbacks may not go, written in the same way; it wins over CALLBACK_ALLOW",
        ..PLAIN
    },
    Setting {
        name: "CALLBACK_HTTPS_ONLY",
        users: N,
        group: DELIVERIES,
        value: YES_NO,
        default: "no",
        help: "Refuse callbacks by plain http",
        ..PLAIN
    },
    Setting {
        name: "CALLBACK_PROXY",
        users: N,
        group: DELIVERIES,
        value: "URL",
        unset: "none; those of the environment are not used",
        secret: true,
        help: "The HTTP proxy by which callbacks go, http://host:port or http://user:password@host:port, or 'environment' for \
               what https_proxy, http_proxy, all_proxy and no_proxy say. Names are looked up and checked here; the proxy is \
               asked for addresses only (CONNECT). Loopback addresses are reached directly",
        ..PLAIN
    },
    Setting {
        name: "CALLBACK_NO_PROXY",
        users: N,
        group: DELIVERIES,
        value: "LIST",
        help: "What callbacks reach directly although there is a CALLBACK_PROXY, written as CALLBACK_ALLOW is",
        ..PLAIN
    },
];
