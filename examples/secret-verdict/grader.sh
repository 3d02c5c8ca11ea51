#!/bin/sh
# A grader whose verdict its submission cannot forge. The submission is a program that reads two numbers from its
# standard input and prints their sum; here it is a shell script, and it may do whatever it likes.
#
# The runner puts a secret into /run/correctomatic/secret, which root alone can read. The submission runs as
# somebody else, and a verdict counts only between separators that hold the secret.
set -u
student=nobody
work=$(mktemp -d) # of mode 700: the student's processes cannot look into it

# 1. The submission runs as another user. It gets none of this script's files: its input and its output are files
#    that it can reach in no other way, so that it cannot write into the verdict below. It has 5 s and may write
#    1 MiB. Nothing of the secret is in its environment or in the arguments of any process: it was not read yet.
run_submission() {
    (
        ulimit -f 2048
        exec timeout -s KILL 5 su -s /bin/sh "$student" -c 'exec /bin/sh /tmp/exercise'
    ) <"$work/input" >"$work/output" 2>/dev/null
}

# 2. Nothing of the submission runs on: this ends all processes in the container but this one (and the container's
#    first). It is the shell's own `kill`, as root. After a fork bomb there is no room for a process of ours before
#    the last of them is gone; no program is started to look for that.
end_submission() {
    kill -KILL -1 2>/dev/null
    looks=0
    until set -- /proc/[0-9]*; [ $# -le 2 ] || [ "$looks" -ge 10000 ]; do
        looks=$((looks + 1))
    done
}

# 3. The secret is read at the very end, and printed by the shell's own `printf`: as an argument of another program
#    everybody could read it in /proc.
verdict() {
    secret=$(cat /run/correctomatic/secret)
    printf '%s\n' "-----BEGIN CORRECTOMATIC RESPONSE $secret-----" "$1" "-----END CORRECTOMATIC RESPONSE $secret-----"
    exit 0
}

right=0
comments=
check() {
    printf '%s\n' "$1" >"$work/input"
    run_submission
    end_submission
    if [ "$(head -c 100 "$work/output")" = "$2" ]; then
        right=$((right + 1))
        comments="$comments, \"$1: right\""
    else
        # What a student wrote is not repeated: it would have to be escaped for JSON first.
        comments="$comments, \"$1: wrong, it is $2\""
    fi
}

check '2 3' 5
check '40 2' 42
check '-1 1' 0
verdict "{\"success\": true, \"grade\": $((right * 10 / 3)), \"comments\": [${comments#, }]}"
