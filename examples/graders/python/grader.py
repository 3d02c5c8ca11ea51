"""Marks Python programs that define add(a, b). The submission is /tmp/exercise; to run this by hand, name another file."""

import json
import os
import signal
import subprocess
import sys

SUBMISSION = sys.argv[1] if len(sys.argv) > 1 else "/tmp/exercise"
# From the job's params (correction-runner try … --param OUT_OF=100).
OUT_OF = float(os.environ.get("OUT_OF", "10"))
SECONDS = 10
CASES = [((2, 3), 5), ((-1, 1), 0), ((0.5, 0.25), 0.75)]

# Runs in a process of its own. What the student's program prints goes nowhere: only what add() gives is told, through
# a pipe of its own, so that no verdict can be forged by printing one. (Whoever knows Python well can find that pipe:
# where that matters see docs/secret-verdict.md of the runner.)
HARNESS = """
import json, os, runpy, sys
path, a, b, pipe = sys.argv[1], *map(json.loads, sys.argv[2:4]), int(sys.argv[4])
try:
    told = {"value": runpy.run_path(path)["add"](a, b)}
    text = json.dumps(told)
except BaseException as error:
    text = json.dumps({"error": f"{type(error).__name__}: {error}"})
os.write(pipe, text.encode()[:10000])
"""


def call(a, b):
    """What add(a, b) gives, or what went wrong."""
    reading, writing = os.pipe()
    command = [sys.executable, "-I", "-c", HARNESS, SUBMISSION, json.dumps(a), json.dumps(b), str(writing)]
    harness = subprocess.Popen(
        command,
        pass_fds=[writing],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(writing)
    try:
        harness.wait(SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"it took longer than {SECONDS} s"}
    finally:
        # With whatever it started; what has got away from it even so keeps nobody waiting, since only what is there is read.
        try:
            os.killpg(harness.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        harness.wait()
        os.set_blocking(reading, False)
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            text = pipe.read(10000) or b""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {"error": "the program ended without a result"}


def verdict(**fields):
    """Prints the verdict. json.dumps escapes whatever a student wrote, so it may be repeated."""
    print("-----BEGIN CORRECTOMATIC RESPONSE-----")
    print(json.dumps(fields))
    print("-----END CORRECTOMATIC RESPONSE-----")
    sys.exit(0)


def main():
    try:
        with open(SUBMISSION, encoding="utf-8") as file:
            compile(file.read(), "your program", "exec")
    except (SyntaxError, ValueError) as error:
        verdict(success=False, error=f"This is no Python program: {error}")
    right, comments = 0, []
    for (a, b), expected in CASES:
        told = call(a, b)
        if told.get("value") == expected and "error" not in told:
            right += 1
            comments.append(f"add({a}, {b}): right")
        else:
            comments.append(f"add({a}, {b}): wrong, it is {expected}; yours: {told.get('error', told.get('value'))}")
    verdict(success=True, grade=round(right * OUT_OF / len(CASES), 2), comments=comments)


main()
