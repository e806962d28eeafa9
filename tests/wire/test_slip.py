"""SLIP (RFC 1055): what is sent arrives, however a line cuts it. The octets are in tests/vectors/slip.json."""

from hypothesis import given
from hypothesis import strategies as st

from mobile_node.slip import SlipDecoder, SlipEncoder
from tests.vectors.checks import ROOM, packets_in

# Mostly special octets: in anything else the decoder has nothing to decide
OCTETS = st.lists(st.sampled_from([0xC0, 0xDB, 0xDC, 0xDD, 0, 0x45]), max_size=60).map(bytes) | st.binary(max_size=60)
PACKETS = st.lists(OCTETS.filter(len), max_size=6)


def drained(encoder: SlipEncoder, piece: int) -> list[bytes]:
    """All that waits, as a line takes it that has room for `piece` octets at a time."""
    out, found = bytearray(piece), []
    while size := encoder.peek(out):
        found.append(bytes(out[:size]))
        encoder.sent(size)
    return found


@given(PACKETS, st.integers(1, 40))
def test_what_is_put_in_comes_out(packets, piece):
    encoder = SlipEncoder(2000)
    for packet in packets:
        assert encoder.put(packet, 0, len(packet))

    assert packets_in(SlipDecoder(60, ROOM), drained(encoder, piece)) == [packet.hex() for packet in packets]


@given(st.lists(OCTETS, max_size=8))
def test_any_octets_are_packets_within_bounds_and_the_next_frame_is_whole(pieces):
    decoder = SlipDecoder(20, ROOM)

    found = packets_in(decoder, [*pieces, b"\xc0\xc0ok\xc0"])

    assert found[-1] == b"ok".hex()
    assert all(len(one) <= 2 * 20 for one in found)


def test_what_has_no_room_is_refused_whole_and_room_comes_back_when_all_has_gone_out():
    encoder = SlipEncoder(40)
    assert encoder.put(bytes(20), 0, 20)

    assert not encoder.put(bytes(20), 0, 20)
    sent = drained(encoder, 7)
    assert encoder.put(bytes(20), 0, 20)

    assert b"".join(sent) == b"\xc0" + bytes(20) + b"\xc0"
    assert len(encoder) == 22


def test_a_frame_without_end_takes_no_more_memory_than_the_longest_packet():
    decoder = SlipDecoder(100)
    for _ in range(1000):
        decoder.take(bytes(1000), 0, 1000)

    assert len(decoder._stream.getvalue()) <= 100
    assert packets_in(decoder, [b"\xc0"]) == []
    assert decoder.dropped == 1
