#!/bin/sh
# Brings .venv to exactly what requirements.lock says, with the project itself on top. Does nothing when it is so already.
set -eu
cd "$(dirname "$0")/../.."

# A virtual environment knows its own path and its interpreter, so a copied tree or another Python makes a new one.
key="$(pwd) $(cat requirements.lock pyproject.toml tools/setup/venv.sh | sha256sum)"
made() { [ -x .venv/bin/python ] && [ "$(cat .venv/made-from 2>/dev/null)" = "$key" ]; }

made && exit 0
mkdir -p build
exec 9>build/venv.lock
flock 9 # two `make` at once: the second waits, and finds it done
made && exit 0

python=$(tools/setup/python.sh)
echo "entourage: making .venv with $python" >&2
"$python" -m venv --clear .venv
# Every requirement is in the lock, so that pip need not look for any.
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@" --quiet --no-deps; }
locked() {
    pip install --require-hashes "$@" || {
        echo "entourage: pip could not bring all that requirements.lock names; it comes from PyPI, or a mirror that pip knows" >&2
        exit 1
    }
}
# These are published as source only: they are built last, by the build backend that the lock has brought.
awk -v into=build/requirements '/^[a-z]/ { kind = /^(argparse-manpage|esptool)==/ ? "source" : "wheels" } kind { print > into "." kind }' \
    requirements.lock
locked --only-binary :all: -r build/requirements.wheels
locked --no-build-isolation -r build/requirements.source
# The project itself too, so nothing unhashed is fetched.
pip install --no-build-isolation --no-index -e .
printf '%s\n' "$key" >.venv/made-from
