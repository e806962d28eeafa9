"""The node's state file under the real MicroPython."""

import json
from pathlib import Path

HERE = Path(__file__).parent


def test_a_state_file_that_is_cut_anywhere_or_has_any_bit_turned_is_no_state_and_one_line(on_micropython, tmp_path):
    path = tmp_path / "state.json"

    damaged = int(on_micropython(HERE / "state_octets.py", path))

    line, digest, end = path.read_bytes().split(b"\n")
    assert damaged == 9 * path.stat().st_size
    assert json.loads(line)["sessions"][1][0] == "Küche" and len(digest) == 64 and end == b""
