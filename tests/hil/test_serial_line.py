"""SLIP on the port that the board is reached by: what it echoes is what it was sent."""

from __future__ import annotations

import random
from collections.abc import Callable

from mobile_node.slip import SlipDecoder, SlipEncoder
from tools.board.connection import Connection
from tools.board.identity import Identity

SEED = 1055
SIZES = (1, 20, 576, 1480)
INTERRUPT = 3  # ends what runs on the stand-in, whose terminal cannot be told otherwise


def test_packets_come_back_octet_for_octet(
    board: Connection, on_board: Callable[[str], None], identity: Identity
) -> None:
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    packets = [bytes([0xC0, 0xDB, *dice.randbytes(size)]) for size in SIZES]
    if not identity.esp32:
        packets = [one.replace(bytes([INTERRUPT]), b"\xdb") for one in packets]
    on_board("slip_echo")
    board.start(f"echo({len(packets)})")

    for packet in packets:
        decoder, encoder, framed = SlipDecoder(1500), SlipEncoder(3010), bytearray(3010)
        encoder.put(packet, 0, len(packet))
        board.say(bytes(framed[: encoder.peek(framed)]))
        while not decoder.size:
            octets = board.hear(1)
            assert octets, f"{len(packet)} octets did not come back"
            decoder.take(octets, 0, 1)
        assert bytes(decoder.packet[: decoder.size]) == packet

    board.finish()
