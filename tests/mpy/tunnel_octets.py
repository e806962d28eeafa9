"""Run on either interpreter: packets put into tunnels and taken out, among octets that are no packets.

Argument: how many. Prints one line each; both interpreters must print the same.
"""

import hashlib
import sys

from mip4.address import parse
from mip4.errors import MipError
from mip4.ip import Packet, checksum
from mip4.tunnel import (
    OuterHeader,
    count_down,
    leave_tunnel,
    packet_end,
    unwrap_gre,
    unwrap_ip_in_ip,
    unwrap_tunnel_data,
    wrap_gre,
    wrap_tunnel_data,
)


def noise(number: int, size: int) -> bytes:
    made = b""
    while len(made) < size:
        made += hashlib.md5(b"%d %d" % (number, len(made))).digest()
    return made[:size]


def tell(words: str, function, *arguments) -> None:
    try:
        print(words, "gives", function(*arguments))
    except (MipError, ValueError) as error:
        print(words, "raises", type(error).__name__, error)


def pass_through(number: int, header: OuterHeader) -> None:
    """One packet into the tunnel, one octet of it changed, and out."""
    octets = noise(number, 24)
    inner = Packet(1, 0xFFFFFFFE, 17, octets[0], octets[: octets[1] % 24]).encode()
    buffer = bytearray(24) + bytearray(inner)
    buffer[25] = octets[2]
    buffer[30] = octets[3] & 0x40
    view = memoryview(buffer)
    at = header.wrap(view, 24, len(buffer))
    print(number, "wrapped", at, checksum(buffer[at : at + 20]), buffer[at:].hex())
    tell(f"{number} reversed", header.is_reversed_in, buffer, at)
    tell(f"{number} before it", wrap_gre if number % 2 else wrap_tunnel_data, view, at)
    buffer[octets[4] % len(buffer)] ^= 1 << octets[5] % 8
    for name, unwrap in (
        ("ipip", unwrap_ip_in_ip),
        ("gre", unwrap_gre),
        ("udp", unwrap_tunnel_data),
        ("end", packet_end),
    ):
        for start in (0, at, 24):
            tell(f"{number} {name} {start}", unwrap, view, start, len(buffer))
    print(number, "left", leave_tunnel(view, 24, octets[6]), count_down(view, 24), buffer.hex())


header = OuterHeader(parse("192.0.2.77"), parse("255.51.100.1"), identification=0xFFF0)
for number in range(int(sys.argv[1])):
    pass_through(number, header)
tell("too long", header.wrap, bytearray(70000), 20, 65536)
