# What a script started, remembered by process id and start time, so that only that is stopped again.
# shellcheck shell=bash

# The directory with one file per started service; `.ci/run` and `run_all` have one each.
services_record=${SERVICES_RECORD:-$PWD/.run/started}

# When a process started (clock ticks since boot); nothing where it is gone. Together with the id
# this names one process and never a later one of the same id.
start_time_of() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    awk '{ print $20 }' <<<"$stat"
}

remember_process() {
    mkdir -p "$services_record"
    printf '%s %s\n' "$2" "$(start_time_of "$2")" >"$services_record/$1"
}

remember_unit() {
    mkdir -p "$services_record"
    printf 'unit %s\n' "$1" >"$services_record/$1"
}

# Stops one remembered service and forgets it.
stop_remembered() {
    local name=$1 file=$services_record/$1 process started deadline
    [[ -f $file ]] || return 0
    read -r process started <"$file"
    if [[ $process == unit ]]; then
        say "Stopping $started (systemctl)."
        as_root systemctl stop "$started" "$started.socket" 2>/dev/null || as_root systemctl stop "$started" || true
    elif [[ -n $started && $(start_time_of "$process") == "$started" ]]; then
        say "Stopping $name (process $process)."
        # Not `sudo kill`: on a small machine kill is only the shell's own.
        kill -TERM "$process" 2>/dev/null || as_root sh -c "kill -TERM $process" || true
        deadline=$((SECONDS + 30))
        while [[ $(start_time_of "$process") == "$started" && $(state_of "$process") != Z ]]; do
            if ((SECONDS > deadline)); then
                complain "$name (process $process) did not end within 30 s of being asked to."
                return 1
            fi
            sleep 0.1
        done
    fi
    rm -f "$file"
}

state_of() { sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null; }

as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        if [[ -t 0 ]]; then sudo "$@"; else sudo -n "$@"; fi
    else
        give_up "this needs root, and there is no sudo: run it as root ($*)"
    fi
}
