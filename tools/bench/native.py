"""Loads written in C, so that what is measured is never the one that makes the load."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools.bench.bench import BenchFailed


def compiled(source: Path, folder: Path) -> Path:
    """A C file as a program in `folder`. Raises BenchFailed with the compiler's first words.

    A package leaves these files out.
    """
    if not source.exists():
        raise BenchFailed(f"{source.name} is not here: this bench runs from a checkout")
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise BenchFailed("no C compiler for the programs that make the load: cc, gcc or clang")
    program = folder / source.stem
    argv = [compiler, "-O2", "-Wall", "-Werror", "-pthread", "-o", str(program), str(source)]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise BenchFailed(f"{source.name}: {(done.stderr or 'the compiler failed').strip().splitlines()[0]}")
    return program
