# Which Debian packages are missing, and installing them, with a reason told for each.
# shellcheck shell=bash

missing_packages=()

# want PACKAGE 'why' TEST…: notes the package as missing when the test fails.
want() {
    local package=$1 why=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing_packages+=("$package")
        note "missing: $package ($why)"
    fi
}

has() { command -v "$1"; }
has_package() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

install_missing_packages() {
    local policy=/usr/sbin/policy-rc.d
    ((${#missing_packages[@]} > 0)) || return 0
    command -v apt-get >/dev/null ||
        give_up "this machine has no apt-get. Install these by its own means: ${missing_packages[*]}"
    say "Installing with apt-get: ${missing_packages[*]}"
    as_root true || give_up "installing packages needs root"
    if [[ ! -d /run/systemd/system && ! -e $policy ]]; then
        # Without systemd a package's own start script would start its service behind our back, with
        # other options than ours: denied while we install, which is what this file is for.
        as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy"
        # shellcheck disable=SC2064
        trap "as_root rm -f $policy; exit 1" INT TERM
        apt_install || { as_root rm -f "$policy"; exit 1; }
        as_root rm -f "$policy"
        trap - INT TERM
    else
        apt_install || exit 1
    fi
}

apt_install() {
    local log=$PWD/.run/apt.log attempt
    local options=(-y -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    local quiet=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l)
    for attempt in 1 2; do
        # The lists of a fresh machine are empty or old.
        as_root "${quiet[@]}" apt-get "${options[@]}" update >"$log" 2>&1 </dev/null &&
            as_root "${quiet[@]}" apt-get "${options[@]}" install --no-install-recommends \
                "${missing_packages[@]}" >>"$log" 2>&1 </dev/null && return 0
        ((attempt < 2)) && note "apt-get failed; once more."
    done
    show_end_of "$log"
    complain "apt-get could not install: ${missing_packages[*]} (whole log: $log)"
    return 1
}
