"""What the board makes of octets is what this machine makes of them: digests, messages, DHCP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mip4.address import parse
from mip4.authentication import ALGORITHMS, parse_key
from mip4.const import CONFIG_DNS
from mobile_node.dhcp import ACK, NAK, OFFER, DhcpMessage, answer
from tests.helpers.builders import GATEWAY, PC1, a_dhcp_message
from tests.vectors import checks
from tools.board.connection import Connection

FOLDER = Path(checks.__file__).parent
# One row of extensions.json has 65532 octets, which no board's heap has room for: tests/mpy reads it
NOT_HERE = {"keys.json", "extensions.json"}
VECTORS = sorted(path for path in FOLDER.glob("*.json") if path.name not in NOT_HERE)
SCRATCH = "hil"  # a folder on the board, there while a test runs

_REMOVE = """
import os
for name in os.listdir(%r):
    os.remove(%r + "/" + name)
os.rmdir(%r)
"""

MTU = 1468  # of a UDP tunnel over Ethernet


@pytest.fixture
def scratch(board: Connection) -> Iterator[str]:
    board.run(f"import os\nif {SCRATCH!r} not in os.listdir(): os.mkdir({SCRATCH!r})")
    yield SCRATCH
    board.run(_REMOVE % (SCRATCH, SCRATCH, SCRATCH))


def test_every_vector_is_read_and_made_octet_for_octet(board: Connection, scratch: str) -> None:
    board.write(f"{scratch}/checks.py", (FOLDER / "checks.py").read_bytes())
    board.write(f"{scratch}/keys.json", (FOLDER / "keys.json").read_bytes())
    board.run(f"import gc, sys\nsys.path.append({scratch!r})\nimport checks")

    for path in VECTORS:
        board.write(f"{scratch}/vector.json", path.read_bytes())
        board.run("gc.collect()")
        assert board.value(f"checks.check({scratch + '/vector.json'!r})") == checks.check(str(path)), path.name


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_digests_of_every_length_around_a_block_are_ours(board: Connection, algorithm: str) -> None:
    board.run("from mip4.authentication import ALGORITHMS")

    for length in (1, 16, 20, 55, 56, 63, 64, 65, 128, 500):
        key, octets = hashlib.sha512(b"%d" % length).digest()[: length % 80 + 1], bytes(range(256)) * 2
        theirs = board.value(f"ALGORITHMS[{algorithm!r}]({key!r})({octets[:length]!r})")
        assert theirs == ALGORITHMS[algorithm](key)(octets[:length]), length


def test_published_digests_are_made(board: Connection) -> None:
    """RFC 2104 and 2202, as in tests/vectors/digests.json: not only the same on both sides, but right."""
    published = json.loads((FOLDER / "digests.json").read_text())
    board.run("from mip4.authentication import ALGORITHMS, parse_key")

    rows = list(digests(published))

    assert len(rows) >= 5
    for algorithm, key, octets, digest in rows:
        made = board.value(f"ALGORITHMS[{algorithm!r}](parse_key({key!r}))(parse_key({octets!r}))")
        assert made == parse_key(digest)


def digests(published: Any) -> Iterator[tuple[str, str, str, str]]:
    for row in published["rows"]:
        yield row["algorithm"], row["key"], row["octets"], row["digest"]


def test_answers_to_dhcp_are_ours(board: Connection) -> None:
    home, dns = parse("10.10.0.12"), {CONFIG_DNS: parse("198.51.100.53").to_bytes(4, "big")}
    board.run("from mobile_node.dhcp import DhcpMessage, answer")

    for kind, asked, host_name, configuration, lease in (
        (OFFER, 0, "laptop", dns, 600),
        (ACK, home, "", {}, 0xFFFFFFFF),
        (NAK, parse("192.168.1.5"), "laptop", dns, 0),
    ):
        octets = a_dhcp_message(1 if kind == OFFER else 3, PC1, asked=asked, host_name=host_name)
        arguments = f"{home}, {GATEWAY}, {lease}, {configuration!r}, {MTU}"
        theirs = board.value(f"answer({kind}, DhcpMessage.decode({octets!r}), {arguments})")
        message = DhcpMessage.decode(octets)
        assert theirs == answer(kind, message, home, GATEWAY, lease, configuration, MTU)
        assert board.value(f"DhcpMessage.decode({octets!r}).names") == message.names
