#!/bin/sh
# Makes .venv from the lock, once: a stamp says what it was made from, so the next run costs nothing and no network.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/.made-from
made_from="$(cat locks/dev.txt pyproject.toml scripts/setup.sh | cksum) $(pwd)"

works() { [ -x "$1" ] || command -v "$1" >/dev/null 2>&1 && "$1" -c "import sys; sys.exit(not $2)" >/dev/null 2>&1; }
say() { printf 'kalpi: %s\n' "$1" >&2; }

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$made_from" ] && [ -x .venv/bin/python ]; then
    exit 0
fi

if ! works .venv/bin/python 'sys.version_info >= (3, 11) and __import__("pip")'; then
    python=
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        if works "$candidate" 'sys.version_info >= (3, 11)'; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then
        say 'Python 3.11 or newer is needed; none of python3, python3.13, python3.12, python3.11 is.'
        exit 2
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        say "$python cannot make a virtual environment; install its venv module (Debian: apt install python3-venv)."
        exit 2
    fi
    rm -rf .venv
    "$python" -m venv .venv
fi

rm -f "$stamp"
say "setting up .venv with $(.venv/bin/python -V) (the first time downloads about 400 MB) ..."
pip() { .venv/bin/python -m pip -qq --no-input --disable-pip-version-check "$@"; }
pip install --require-hashes --prefer-binary -r locks/dev.txt
# setuptools comes from the lock, so this needs no network.
pip install --no-deps --no-build-isolation --no-index --editable .
printf '%s\n' "$made_from" >"$stamp.new"
mv "$stamp.new" "$stamp"
