"""Tunnel headers inside the real MicroPython: what CPython does, octet for octet."""

from pathlib import Path

from tests.mpy.test_vectors import on_cpython

SCRIPT = Path(__file__).parent / "tunnel_octets.py"


def test_micropython_puts_packets_into_tunnels_and_takes_them_out_as_cpython_does(on_micropython):
    told = on_micropython(SCRIPT, 300).splitlines()

    assert told == on_cpython(SCRIPT, 300).splitlines()
    assert told[-1] == "too long raises ValueError 65536 octets do not fit an IPv4 packet"
    for happened in (
        "ipip 4 gives 24",
        "udp 0 gives 4",
        "gre 0 gives 4",
        "raises Malformed GRE header",
        "raises Malformed IP header checksum",
        "left False",
    ):
        assert any(happened in line for line in told), happened
