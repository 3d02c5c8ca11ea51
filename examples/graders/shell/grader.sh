#!/bin/sh
# Marks a quiz: lines such as two_plus_two=4. The submission is /tmp/exercise; to run this by hand, name another file.
submission=${1:-/tmp/exercise}
# From the job's params (correction-runner try … --param OUT_OF=100).
out_of=${OUT_OF:-10}

# The verdict is a JSON object, alone or between these two lines. Nothing of what the student wrote is repeated in it:
# a quotation mark there would break the JSON.
verdict() {
    echo '-----BEGIN CORRECTOMATIC RESPONSE-----'
    echo "$1"
    echo '-----END CORRECTOMATIC RESPONSE-----'
    exit 0
}

grep -q '^[a-z_]*=' "$submission" ||
    verdict '{"success": false, "error": "This is no quiz: there is no line such as two_plus_two=4 in it."}'

right=0
comments=
check() {
    given=$(sed -n "s/^$1=//p" "$submission" | head -n 1 | tr -d '\r')
    if [ "$given" = "$2" ]; then
        right=$((right + 1))
        comments="$comments, \"$1: right\""
    else
        comments="$comments, \"$1: wrong, it is $2\""
    fi
}

check two_plus_two 4
check capital_of_france Paris
grade=$(LC_ALL=C awk -v right="$right" -v out_of="$out_of" 'BEGIN {
    if (out_of !~ /^[0-9]+(\.[0-9]+)?$/) exit 1
    printf "%.10g", int(right * out_of / 2 * 100 + 0.5) / 100
}') || {
    echo "OUT_OF is no number: $out_of" >&2
    exit 1
}
verdict "{\"success\": true, \"grade\": $grade, \"comments\": [${comments#, }]}"
