"""The codec inside the real MicroPython: the same vectors, the same refusals, the same octets as CPython."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vectors import checks

HERE = Path(__file__).parent
FOLDER = Path(checks.__file__).parent
VECTORS = sorted(path for path in FOLDER.glob("*.json") if path.name != "keys.json")
SEED = 5944


def on_cpython(script: Path, *arguments: object) -> str:
    paths = os.pathsep.join([str(FOLDER), str(HERE.parent.parent / "firmware")])
    return subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("path", VECTORS, ids=[path.stem for path in VECTORS])
def test_micropython_reads_and_makes_the_vector_octet_for_octet(on_micropython, path):
    checked = on_micropython(HERE / "keep_promises.py", path).split()

    assert checked == [str(path), str(checks.check(str(path)))]


def test_micropython_decodes_random_octets_as_cpython_does_and_raises_nothing_but_mip_errors(on_micropython):
    packets = [path for path in VECTORS if path.stem.startswith("v")]

    ours = on_micropython(HERE / "random_octets.py", SEED, 600, *packets).splitlines()

    print(f"seed {SEED}")
    assert ours[0] == f"seed {SEED}"
    assert ours == on_cpython(HERE / "random_octets.py", SEED, 600, *packets).splitlines()
    outcomes = {tuple(line.split()[1:3]) for line in ours[1:]}
    for decoder in ("request", "salvage", "reply", "advertisement", "packet", "sub-NAI", "carried"):
        assert {(decoder, "gives"), (decoder, "Malformed")} <= outcomes  # noise that only fails would prove nothing


def test_micropython_refuses_what_cpython_refuses_in_the_same_words(on_micropython):
    told = on_micropython(HERE / "strictness.py").splitlines()

    assert told == on_cpython(HERE / "strictness.py").splitlines()
    assert "pack H 70000 raises ValueError 70000 does not fit 16 bits" in told
    assert "record misspelt gives refused" in told
    assert "address raises ValueError not an IPv4 address: 1.2.3.04" in told
