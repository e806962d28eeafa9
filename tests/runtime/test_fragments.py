"""Fragments made before a tunnel: whole again at the far side, and none too long."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from host_agents.datapath.fragments import fragments
from mip4.ip import checksum

RECORD_ROUTE = b"\x07\x07\x04\0\0\0\0"  # not copied into later fragments
LOOSE_SOURCE_ROUTE = b"\x83\x07\x04\xc0\0\x02\x01"  # copied


def packet(payload: bytes, options: bytes = b"", field: int = 0) -> memoryview:
    options += bytes(-len(options) % 4)
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBHII", 0x40 | size // 4, 0x48, size + len(payload), 99, field, 9, 17, 0, 1, 2) + options
    return memoryview(bytearray(head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload))


def field_of(part: memoryview) -> int:
    return int(struct.unpack_from("!H", part, 6)[0])


@given(st.binary(max_size=3000), st.integers(68, 1500), st.sampled_from([0, 0x2000, 0x2005, 0x0005]))
def test_fragments_fit_and_together_are_the_packet(payload, mtu, field):
    whole = packet(payload, field=field)
    parts = list(fragments(whole, mtu))

    at = field & 0x1FFF
    for part in parts:
        assert len(part) <= mtu
        assert checksum(part[:20]) == 0
        assert struct.unpack_from("!H", part, 2)[0] == len(part)
        assert part[:2] == whole[:2] and part[4:6] == whole[4:6] and part[8:10] == whole[8:10]
        assert field_of(part) & 0x1FFF == at
        assert bool(field_of(part) & 0x2000) == (part is not parts[-1] or bool(field & 0x2000))
        at += (len(part) - 20) // 8
    assert b"".join(part[20:] for part in parts) == payload


def test_a_packet_that_fits_is_left_alone():
    whole = packet(bytes(100))

    assert [part is whole for part in fragments(whole, 120)] == [True]


def test_later_fragments_carry_only_the_options_that_say_so():
    whole = packet(bytes(100), b"\x01" + RECORD_ROUTE + LOOSE_SOURCE_ROUTE)

    first, *rest = fragments(whole, 80)

    assert bytes(first[20:36]) == b"\x01" + RECORD_ROUTE + LOOSE_SOURCE_ROUTE + b"\0"
    for part in rest:
        assert part[0] == 0x47
        assert bytes(part[20:28]) == LOOSE_SOURCE_ROUTE + b"\0"
        assert checksum(part[:28]) == 0
    assert b"".join(part[(part[0] & 15) * 4 :] for part in (first, *rest)) == bytes(100)


def test_nonsense_among_the_options_ends_nothing():
    for options in (b"\x83\0\0\0", b"\x83\xff\0\0", b"\0\x83\x04\x01", b"\x01\x01\x01\x83"):
        parts = list(fragments(packet(bytes(200), options), 100))

        assert b"".join(part[(part[0] & 15) * 4 :] for part in parts) == bytes(200)
