# Prometheus' promtool, with which tests check metrics and alert rules: that program alone out of Debian's package,
# which would bring a server and three dozen other packages along.
# shellcheck shell=bash

promtool_home=.run/promtool

set_up_promtool() {
    if has promtool >/dev/null || [[ -x $promtool_home/promtool ]]; then return 0; fi
    say "Fetching promtool out of Debian's package prometheus into $promtool_home."
    rm -rf "$promtool_home"
    mkdir -p "$promtool_home"
    if ! fetch_promtool >.run/promtool.log 2>&1 </dev/null; then
        show_end_of .run/promtool.log
        give_up "promtool could not be fetched (whole log: .run/promtool.log)"
    fi
}

fetch_promtool() {
    local options=(-q -o Acquire::Retries=3)
    # The lists of a fresh machine are empty or old.
    (cd "$promtool_home" && apt-get "${options[@]}" download prometheus) ||
        { as_root apt-get "${options[@]}" -o DPkg::Lock::Timeout=300 update &&
            (cd "$promtool_home" && apt-get "${options[@]}" download prometheus); } || return 1
    dpkg-deb --fsys-tarfile "$promtool_home"/prometheus_*.deb |
        tar -xO ./usr/bin/promtool >"$promtool_home/unpacked" || return 1
    chmod +x "$promtool_home/unpacked"
    "$promtool_home/unpacked" --version || return 1
    rm -f "$promtool_home"/prometheus_*.deb
    # Last, so that what was broken off is made anew.
    mv "$promtool_home/unpacked" "$promtool_home/promtool"
}
