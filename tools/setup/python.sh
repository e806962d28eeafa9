#!/bin/sh
# Prints a Python that is new enough and can make a virtual environment; $PYTHON is asked first. Exit 1: none found.
for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
    command -v "$python"
    exit 0
done
echo "entourage needs Python 3.11 or newer with its venv module; PYTHON=PATH names one (Debian from 12, Ubuntu from 24.04:" \
    "python3 and python3-venv)" >&2
exit 1
