#!/bin/sh
# The example grader: marks a quiz. The submission is a text file with lines of the form name=answer.
#
# A grader finds the submission at /tmp/exercise, and the job's params as environment variables. It
# prints its verdict, JSON, between the two separators: then other lines in its output do no harm.

submission=${SUBMISSION:-/tmp/exercise}
out_of=${OUT_OF:-10} # a job may set it: "params": ["OUT_OF=100"]

verdict() {
    echo '-----BEGIN CORRECTOMATIC RESPONSE-----'
    echo "$1"
    echo '-----END CORRECTOMATIC RESPONSE-----'
    exit 0
}

if [ ! -s "$submission" ]; then
    verdict '{"success": false, "error": "The file that you handed in is empty."}'
fi

right=0
asked=0
comments=
# check NAME ANSWER: compares one answer, ignoring capitals and blanks at the ends.
check() {
    asked=$((asked + 1))
    given=$(sed -n "s/^$1=//p" "$submission" | tail -n 1 | tr -d '\r' | tr '[:upper:]' '[:lower:]' | sed 's/^ *//; s/ *$//')
    if [ "$given" = "$2" ]; then
        right=$((right + 1))
        comments="$comments, \"$1: right\""
    elif [ -z "$given" ]; then
        comments="$comments, \"$1: no answer\""
    else
        # What a student wrote is not repeated here: it would have to be escaped for JSON first.
        comments="$comments, \"$1: wrong\""
    fi
}

echo "Marking $submission out of $out_of" # outside of the separators: nobody minds
check capital_of_france paris
check two_plus_two 4
check largest_planet jupiter

grade=$(awk "BEGIN { printf \"%.2f\", $out_of * $right / $asked }")
verdict "{\"success\": true, \"grade\": $grade, \"comments\": [${comments#, }]}"
