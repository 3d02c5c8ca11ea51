# Whether Rust is there and new enough. It is installed only where a person at a terminal says so.
# shellcheck shell=bash

check_rust() {
    local wanted found
    # A shell that was open while rustup ran does not know its directory yet.
    if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then PATH=$HOME/.cargo/bin:$PATH; fi
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! command -v cargo >/dev/null; then
        complain "Rust is not installed. This installs it for your user, without root:"
        cat >&2 <<'ADVICE'

    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c clippy -c rustfmt
    . "$HOME/.cargo/env"

(Where curl is missing: apt-get install curl.) Then run this again.
ADVICE
        install_rust_if_wished || exit 1
    fi
    found=$(rustc --version | awk '{ print $2 }')
    if [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) != "$wanted" ]]; then
        complain "Rust $wanted or newer is needed and this is $found ($(command -v rustc))."
        if command -v rustup >/dev/null; then
            complain "Update it: rustup update stable"
        else
            complain "It came from the system's packages; install a current one: https://rustup.rs"
        fi
        exit 1
    fi
}

# Asks whether the above is to be done now; only where somebody can answer.
install_rust_if_wished() {
    local answer installer
    [[ -t 0 && -t 2 ]] && command -v curl >/dev/null || return 1
    read -r -p 'Do that now? [y/N] ' answer
    [[ $answer == [yY]* ]] || return 1
    installer=$(mktemp)
    if ! curl --proto '=https' --tlsv1.2 -sSf -o "$installer" https://sh.rustup.rs ||
        ! sh "$installer" -y --profile minimal -c clippy -c rustfmt; then
        rm -f "$installer"
        complain "Rust could not be installed (see above)."
        return 1
    fi
    rm -f "$installer"
    PATH=$HOME/.cargo/bin:$PATH
}

# Builds, and where that fails says what it needs: cargo's own words name neither the disk nor the proxy.
build() {
    local room
    room=$(df -Pm . | awk 'NR == 2 { print $4 }')
    if ((${room:-9999} < ${ROOM_FOR_A_BUILD:-1800})); then
        complain "there are $room MiB left on the disk of $PWD, and a build needs some ${ROOM_FOR_A_BUILD:-1800}." \
            "Make room, or build elsewhere: CARGO_TARGET_DIR=/a/larger/disk. What old builds left goes with: cargo clean"
        return 1
    fi
    cargo build --locked "$@" && return 0
    complain "the build failed; the first error above says why. Where it is the network: crates come from" \
        "index.crates.io and static.crates.io by https (behind a proxy: export HTTPS_PROXY=http://…). On a machine" \
        "without a network: cargo vendor on another one, or take the program from there (docs/installing.md)."
    return 1
}
