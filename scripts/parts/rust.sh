# Whether Rust is there and new enough; nothing is installed, for that is a person's choice.
# shellcheck shell=bash

check_rust() {
    local wanted found
    # A shell that was open while rustup ran does not know its directory yet.
    if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then PATH=$HOME/.cargo/bin:$PATH; fi
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! command -v cargo >/dev/null; then
        complain "Rust is not installed. This installs it for your user, without root:"
        cat >&2 <<'ADVICE'

    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y
    . "$HOME/.cargo/env"

(Where curl is missing: apt-get install curl.) Then run this again.
ADVICE
        exit 1
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
