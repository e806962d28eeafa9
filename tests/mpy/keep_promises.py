"""Run on MicroPython: check each vector file named on the command line, and say how much there was to check."""

import sys

import checks

for path in sys.argv[1:]:
    print(path, checks.check(path))
