//! Where Docker is and how it is used.

use super::{DOCKER, DURATION, PLAIN, S, SC, Setting, YES_NO};

pub(super) const DOCKER_ENGINE: &[Setting] = &[
    Setting {
        name: "DOCKER_OPTIONS",
        users: SC,
        group: DOCKER,
        value: "JSON",
        unset: "the socket /var/run/docker.sock",
        secret: true,
        help: "Where Docker is, as Dockerode has it: {\"socketPath\": \"…\"}, or \"host\", \"port\", \"protocol\" (http, \
               https or ssh) with \"ca\", \"cert\" and \"key\" as paths of PEM files, for ssh with \"username\" and \
               \"sshOptions\": {\"privateKey\": \"…\", \"passphrase\": \"…\"} (the key itself or the path of its file)",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_OPTIONS_FILE",
        users: SC,
        group: DOCKER,
        value: "PATH",
        help: "A file with that JSON; read where DOCKER_OPTIONS is not set",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_HOST",
        users: SC,
        group: DOCKER,
        value: "URL",
        help: "Where Docker is, as the docker command has it: unix:///path, tcp://host:port or \
               ssh://user@host:port/socket; read where neither of the two above is set",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_TLS_VERIFY",
        users: SC,
        group: DOCKER,
        value: "ANYTHING",
        help: "Whatever is set here makes a tcp:// DOCKER_HOST an encrypted one, as with the docker command",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_CERT_PATH",
        users: SC,
        group: DOCKER,
        value: "PATH",
        unset: "~/.docker",
        help: "The directory of ca.pem, cert.pem and key.pem for an encrypted DOCKER_HOST",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_SSH_CONFIG",
        users: SC,
        group: DOCKER,
        value: "PATH",
        unset: "~/.ssh/config and /etc/ssh/ssh_config",
        help: "The configuration file of the ssh program (man ssh_config) where Docker is reached over ssh: known hosts, jump hosts, keys",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_TIMEOUT",
        users: SC,
        group: DOCKER,
        value: DURATION,
        default: "5000ms",
        help: "Time for each call to Docker but pulls (a bare number is in ms)",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_PULL",
        users: SC,
        group: DOCKER,
        value: YES_NO,
        default: "no",
        help: "Pull an image that is not there",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_PULL_TIMEOUT",
        users: S,
        group: DOCKER,
        value: DURATION,
        default: "15000ms",
        help: "Time for one pull (a bare number is in ms)",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_REGISTRY_CREDENTIALS",
        aliases: &["DOCKER_REPOSITORY_CREDENTIALS"],
        users: S,
        group: DOCKER,
        value: "JSON",
        secret: true,
        help: "Logins of registries: {\"registry.domain\": {\"username\": \"…\", \"password\": \"…\"}}; the key \"\" is Docker Hub",
        ..PLAIN
    },
    Setting {
        name: "DOCKER_REGISTRY_CREDENTIALS_FILE",
        aliases: &["DOCKER_REPOSITORY_CREDENTIALS_FILE"],
        users: S,
        group: DOCKER,
        value: "PATH",
        help: "A file with that JSON; where both are set they are merged and the former wins",
        ..PLAIN
    },
];
