"""Power that goes at any moment: what was written is there whole, and the board comes back."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Callable

from tests.hil.test_firmware import MODULES
from tools.board import files
from tools.board.connection import Connection
from tools.board.errors import BoardFailed

CUTS = int(os.environ.get("POWER_CUTS", "8"))
SEED = int(os.environ.get("POWER_SEED", "5944"))
SIZE = 3000  # octets
SCRATCH = "cut.json"

_WRITE = """
import os
number = 0
while True:
    number += 1
    with open("cut.new", "wb") as file:
        file.write(bytes([number % 256]) * {size})
    os.rename("cut.new", "cut.txt")
    print(number)
"""


def test_a_file_that_is_replaced_by_renaming_is_never_half_there(port: str, cut_power: Callable[[], None]) -> None:
    """What `deploy` and the node's state rely on."""
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    seen = set()
    try:
        with Connection(port) as first:
            first.write("cut.txt", bytes(SIZE))  # a busy machine may come to no other before the first cut
        for _ in range(CUTS):
            with Connection(port) as before:
                before.start(_WRITE.format(size=SIZE))
                time.sleep(0.05 + dice.random() * 0.1)  # any moment is as good
                cut_power()
            with Connection(port) as after:
                octets = after.read("cut.txt")
                assert octets is not None and len(octets) == SIZE and len(set(octets)) == 1
                seen.add(octets[0])
                after.run("import " + ", ".join(MODULES[:3]))
    finally:
        with Connection(port) as last:
            last.run("import os\nfor name in ('cut.txt', 'cut.new'):\n if name in os.listdir(): os.remove(name)")
            last.leave()
    assert len(seen) > 1  # else it was never at work when the power went


def test_a_configuration_is_the_former_or_the_new_one_whenever_the_power_goes_while_it_is_deployed(
    port: str, cut_power: Callable[[], None]
) -> None:
    dice = random.Random(SEED)
    cuts = max(2, CUTS // 4)  # each costs more than a second, since nobody answers any more
    print(f"POWER_CUTS={CUTS} POWER_SEED={SEED}")
    known = [json.dumps({"number": number, "names": ["x" * 50] * 40}).encode() for number in range(cuts + 2)]
    began = time.monotonic()
    with Connection(port) as board:
        deploy(board, known[0])
    took = time.monotonic() - began
    seen = [0]
    try:
        for number in range(1, cuts + 1):
            with Connection(port) as before:
                writer = threading.Thread(target=deploy, args=(before, known[number]))
                writer.start()
                time.sleep(dice.random() * took)  # any moment is as good
                cut_power()
                writer.join()
            with Connection(port) as after:
                octets = after.read(SCRATCH)
                assert octets is not None
                there = json.loads(octets)["number"]
                assert octets == known[there] and there in (seen[-1], number)
                seen.append(there)
        with Connection(port) as again:
            deploy(again, known[-1])
            assert again.read(SCRATCH) == known[-1]
    finally:
        with Connection(port) as last:
            last.run(f"import os\nfor name in os.listdir():\n if name.startswith({SCRATCH!r}): os.remove(name)")
            last.leave()


def deploy(board: Connection, octets: bytes) -> None:
    """As `entourage board deploy` does it, as far as it comes."""
    with contextlib.suppress(BoardFailed):
        files.carry_out(board, files.plan(board, {SCRATCH: octets}), lambda path: None)
