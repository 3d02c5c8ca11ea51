# The Python packages that tests check our signatures with, in an environment of their own.
# shellcheck shell=bash

python_home=.run/python
python_wanted=integration/python/requirements.txt

set_up_python() {
    cmp --silent "$python_wanted" "$python_home/installed.txt" && return 0
    say "Installing Python packages for the tests into $python_home ($python_wanted)."
    rm -rf "$python_home"
    if ! { python3 -m venv "$python_home" && install_python_packages; } >.run/python.log 2>&1 </dev/null; then
        show_end_of .run/python.log
        give_up "the Python packages could not be installed (whole log: .run/python.log)"
    fi
    # Last, so that an installation that was broken off is made anew.
    cp "$python_wanted" "$python_home/installed.txt"
}

install_python_packages() {
    "$python_home/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 \
        --requirement "$python_wanted"
}
