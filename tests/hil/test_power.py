"""Power that goes at any moment: what was written is there whole, and the board comes back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.hil.test_firmware import MODULES
from tools.board.connection import Connection

CUTS = 8
SEED = 5944
SIZE = 3000  # octets

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
