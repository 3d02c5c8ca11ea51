# How the scripts talk: what is done goes to stdout, what went wrong to stderr.
# shellcheck shell=bash

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
complain() { printf 'error: %s\n' "$*" >&2; }
give_up() {
    complain "$@"
    exit "${EXIT_CODE:-1}"
}

# Prints the last lines of a log to stderr, so that a failure is told where it is seen.
show_end_of() {
    local log=$1
    if [[ -s $log ]]; then
        printf -- '--- the end of %s ---\n' "$log" >&2
        tail -n 30 "$log" >&2
        printf -- '---\n' >&2
    else
        printf -- '--- %s is empty ---\n' "$log" >&2
    fi
}

# Asks for a word that was made up just now, so that no habit, no paste and no `yes |` gives it.
confirmed_by_a_word() {
    local word answer
    if [[ ! -t 0 || ! -t 1 ]]; then
        complain "this asks a person, and there is no terminal. A script names the target: $1"
        return 1
    fi
    word=$(LC_ALL=C tr -dc 'bcdfghjkmnpqrstvwxz' </dev/urandom 2>/dev/null | head -c 4 || true)
    [[ ${#word} -eq 4 ]] || give_up "no random word could be made"
    printf 'Type the word %s to go on, anything else to leave all as it is: ' "$word"
    read -r answer || answer=
    if [[ $answer != "$word" ]]; then
        echo "Nothing was done."
        return 1
    fi
}
