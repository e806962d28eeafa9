"""Messages with something wrong, by a chance that is printed: FUZZ_SEED=n is another one.

FUZZ_EACH=n is how many inputs each of the tests has: all together forty thousand, and two million in `make soak`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

import pytest

SEED = int(os.environ.get("FUZZ_SEED", "5944"))
EACH = int(os.environ.get("FUZZ_EACH", "2500"))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    print(f"{request.node.name}: {EACH} inputs, seed {SEED}")
    return random.Random(f"{SEED} {request.node.name}")


def damaged(chance: random.Random, octets: bytes, others: Sequence[bytes]) -> bytes:
    """`octets` with one to three things wrong. others: messages that it may go on as."""
    made = bytearray(octets)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(len(made) + 1)
        what = chance.randrange(7)
        if what == 0 and at < len(made):
            made[at] ^= 1 << chance.randrange(8)
        elif what == 1 and at < len(made):
            made[at] = chance.choice((0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, chance.randrange(256)))
        elif what == 2:
            del made[at:]
        elif what == 3:
            made[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif what == 4:
            del made[at : at + chance.randrange(1, 9)]
        elif what == 5:
            made[at:at] = made[24:][: chance.randrange(1, 60)]
        else:
            made[at:] = chance.choice(others)[at:]
    return bytes(made)
