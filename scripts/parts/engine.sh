# Where the Docker engine is, by the runner's settings, and how the scripts start and ask it.
# shellcheck shell=bash

# Sets engine_socket (empty where the engine is not on a socket of this machine) and exports
# DOCKER_HOST, so that every `docker` command of a script speaks with the runner's engine.
locate_engine() {
    local options file host
    options=$(setting DOCKER_OPTIONS)
    file=$(setting DOCKER_OPTIONS_FILE)
    if [[ -z $options && -n $file ]]; then
        options=$(cat -- "$file") || give_up "DOCKER_OPTIONS_FILE cannot be read: $file"
    fi
    host=$(setting DOCKER_HOST unix:///var/run/docker.sock)
    if [[ -n $options ]]; then
        options=${options//$'\n'/ }
        if [[ -n ${SCRIPTS_DOCKER_HOST-} ]]; then
            host=$SCRIPTS_DOCKER_HOST
        elif [[ $options =~ \"host\"[[:space:]]*: ]]; then
            give_up "DOCKER_OPTIONS names an engine on another host. Scripts reach it through the docker" \
                "command: say how in SCRIPTS_DOCKER_HOST, for example" \
                "SCRIPTS_DOCKER_HOST=tcp://host:2376 (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH) or ssh://user@host."
        elif [[ $options =~ \"socketPath\"[[:space:]]*:[[:space:]]*\"([^\"]+)\" ]]; then
            host=unix://${BASH_REMATCH[1]}
        fi
    fi
    export DOCKER_HOST=$host
    engine_socket=''
    [[ $host == unix://* ]] && engine_socket=${host#unix://}
    return 0
}

engine_answers() {
    if [[ -n $engine_socket ]]; then
        [[ $(curl -fsS -m 5 --unix-socket "$engine_socket" http://engine/_ping 2>/dev/null) == OK ]]
    else
        timeout 10 docker version >/dev/null 2>&1
    fi
}

# The exit code that says so: EX_NOPERM of sysexits.h.
engine_forbidden=77
# Where only its socket is here, as in a container, no process tells that it runs.
engine_answers_root() {
    command -v sudo >/dev/null && [[ $(as_root curl -fsS -m 5 --unix-socket "$engine_socket" http://engine/_ping 2>/dev/null) == OK ]]
}
engine_is_forbidden() { [[ -n $engine_socket && -S $engine_socket && ! -w $engine_socket ]]; }

# set_up PURPOSE SCRIPT ARGUMENTS…: sets up the services. Where only this user may not use the engine, the script goes
# on as the same user with the engine's group, if sudo allows that: nobody has to log in anew after Docker was
# installed a moment ago.
set_up() {
    local purpose=$1 status
    shift
    scripts/set_up_services --for "$purpose" && return 0
    status=$?
    locate_engine
    ((status != engine_forbidden)) || go_on_with_engine_group "$@"
    exit "$status"
}

go_on_with_engine_group() {
    local group variables
    group=$(stat -c %G "$engine_socket" 2>/dev/null) || return 0
    [[ -z ${WITH_ENGINE_GROUP-} && $group != root && $group != UNKNOWN ]] && command -v sudo >/dev/null || return 0
    as_root true && sudo -n -u "$(id -un)" -g "$group" true 2>/dev/null || return 0
    say "Going on with the group $group, for this run alone (sudo -g $group)."
    # sudo clears the environment, and on a command line everybody could read what is secret in it.
    variables=$(mktemp)
    export WITH_ENGINE_GROUP=yes
    export -p >"$variables"
    # shellcheck disable=SC2016
    exec sudo -u "$(id -un)" -g "$group" bash -c '. "$1"; rm -f "$1"; shift; exec "$@"' bash "$variables" "$@"
}

# Starts the engine of this machine: through systemd where it runs, else by hand.
start_engine() {
    local log=$PWD/.run/dockerd.log pid_file=/var/run/docker.pid
    if [[ $DOCKER_HOST != unix:///var/run/docker.sock && $DOCKER_HOST != unix:///run/docker.sock ]]; then
        give_up "the Docker engine at $DOCKER_HOST does not answer, and this script starts only the one of this" \
            "machine at /var/run/docker.sock (DOCKER_HOST, DOCKER_OPTIONS)."
    fi
    if engine_is_forbidden && { running_dockerd >/dev/null || engine_answers_root; }; then
        EXIT_CODE=$engine_forbidden give_up "a Docker engine runs, but this user may not use it" \
            "($engine_socket). For good: sudo usermod -aG docker $(id -un), then log in again. Or run this as root."
    fi
    if [[ -d /run/systemd/system ]]; then
        say "Starting the Docker engine (systemctl start docker): it runs the graders."
        as_root systemctl start docker || give_up "systemctl start docker failed: journalctl -u docker tells why."
        if engine_is_forbidden; then
            [[ -n ${engine_just_installed-} ]] || remember_unit docker
            EXIT_CODE=$engine_forbidden give_up "the Docker engine runs now, but this user may not use it" \
                "($engine_socket). For good: sudo usermod -aG docker $(id -un), then log in again. Or run this as root."
        fi
        wait_for_engine 'journalctl -u docker tells why.' || exit 1
        [[ -n ${engine_just_installed-} ]] || remember_unit docker
        return
    fi
    if [[ -f $pid_file ]] && ! running_dockerd >/dev/null; then
        note "Removing $pid_file: the engine that wrote it is gone."
        as_root rm -f "$pid_file"
    fi
    mountpoint -q /sys/fs/cgroup || as_root mount -t cgroup2 none /sys/fs/cgroup ||
        note "No control groups are mounted at /sys/fs/cgroup; the engine may refuse to start."
    say "Starting the Docker engine (dockerd, log in $log): it runs the graders."
    : >"$log"
    launch_dockerd "$log"
    if ! wait_for_engine ''; then
        if grep -q iptables "$log"; then
            note "It could not set up its network rules (iptables). Trying without: graders have no network then."
            launch_dockerd "$log" --iptables=false --bridge=none
            wait_for_engine '' || { show_end_of "$log"; give_up "the Docker engine does not start."; }
        else
            show_end_of "$log"
            give_up "the Docker engine does not start."
        fi
    fi
    remember_process dockerd "$(<"$pid_file")"
}

launch_dockerd() {
    local log=$1
    shift
    [[ $(id -u) -eq 0 ]] || set -- --group "$(id -gn)" "$@"
    # A session of its own: Ctrl-C is for us, and what still runs in it is stopped in order.
    as_root setsid "$(command -v dockerd)" "$@" >>"$log" 2>&1 </dev/null 9>&- &
    dockerd_launcher=$!
}

# Waits until the engine answers, at most a minute, or until it ended again.
wait_for_engine() {
    local advice=$1 deadline=$((SECONDS + 60))
    until engine_answers; do
        if [[ -n ${dockerd_launcher-} ]] && ! kill -0 "$dockerd_launcher" 2>/dev/null; then return 1; fi
        if ((SECONDS > deadline)); then
            complain "the Docker engine did not answer within 60 s. $advice"
            # So that stop_services finds it, should it be slow and not dead.
            if [[ -n ${dockerd_launcher-} ]] && running_dockerd >/dev/null; then
                remember_process dockerd "$(running_dockerd)"
            fi
            return 1
        fi
        sleep 0.3
    done
}

# The process id of this machine's engine, where one runs.
running_dockerd() {
    local process
    process=$(cat /var/run/docker.pid 2>/dev/null) || return 1
    [[ $(cat "/proc/$process/comm" 2>/dev/null) == dockerd ]] && echo "$process"
}
