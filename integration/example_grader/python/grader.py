"""The example grader in Python: marks a quiz whose submission has lines of the form name=answer."""

import json
import os
import sys

ANSWERS = {"capital_of_france": "paris", "two_plus_two": "4", "largest_planet": "jupiter"}
SUBMISSION = os.environ.get("SUBMISSION", "/tmp/exercise")


def verdict(**fields):
    """Prints the verdict between the separators and ends the grader."""
    print("-----BEGIN CORRECTOMATIC RESPONSE-----")
    print(json.dumps(fields))
    print("-----END CORRECTOMATIC RESPONSE-----")
    sys.exit(0)


def main():
    with open(SUBMISSION, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if not lines:
        verdict(success=False, error="The file that you handed in is empty.")
    given = dict(line.split("=", 1) for line in lines if "=" in line)

    print("Marking", SUBMISSION)  # outside of the separators: nobody minds
    comments, right = [], 0
    for name, answer in ANSWERS.items():
        if given.get(name, "").strip().lower() == answer:
            right += 1
            comments.append(f"{name}: right")
        else:
            # json.dumps escapes whatever a student wrote, so it can be repeated safely.
            comments.append(f"{name}: {given.get(name, 'no answer')!r} is wrong")
    out_of = float(os.environ.get("OUT_OF", "10"))  # a job may set it: "params": ["OUT_OF=100"]
    verdict(success=True, grade=round(out_of * right / len(ANSWERS), 2), comments=comments)


if __name__ == "__main__":
    main()
