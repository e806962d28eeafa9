#!/bin/sh
# Holds both ports of the node against stubs of the firmware that they run on: names, arguments and what comes back.
#
# The stubs take the place of the standard library's own, so they are in folders of their own and not in .venv, whose
# mypy would read them for CPython's.
set -eu
cd "$(dirname "$0")/../.."
for port in esp32 unix; do
    stubs="build/stubs/$port"
    key="$(sha256sum <"tools/types/$port.txt")"
    if [ "$(cat "$stubs/made-from" 2>/dev/null)" != "$key" ]; then
        rm -rf "$stubs"
        .venv/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes \
            --only-binary :all: --target "$stubs" -r "tools/types/$port.txt"
        printf '%s\n' "$key" >"$stubs/made-from"
    fi
    said="$(.venv/bin/basedpyright --project "tools/types/$port.json")" || { printf '%s\n' "$said"; exit 1; }
done
