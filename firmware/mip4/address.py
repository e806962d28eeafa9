"""IPv4 addresses are ints of 32 bits here; these functions are all that is ever done with them."""

from mip4.const import BROADCAST

_HEX = "0123456789abcdefABCDEF"


def parse(text: str) -> int:
    """Dotted quad to int. Raises ValueError for anything but four decimal octets."""
    parts = text.split(".")
    if len(parts) != 4:
        raise ValueError("not an IPv4 address: %s" % text)
    address = 0
    for part in parts:
        octet = _decimal(part)
        if octet is None or octet > 255:
            raise ValueError("not an IPv4 address: %s" % text)
        address = address << 8 | octet
    return address


def _decimal(text: str) -> int | None:
    """ASCII digits only, and no leading zero, which some read as octal."""
    if not 1 <= len(text) <= 3 or not all([digit in "0123456789" for digit in text]):
        return None
    return int(text) if text == "0" or text[0] != "0" else None


def show(address: int) -> str:
    """Int to dotted quad."""
    return "%d.%d.%d.%d" % (address >> 24 & 255, address >> 16 & 255, address >> 8 & 255, address & 255)


def mask(length: int) -> int:
    """The netmask of a prefix length, 0..32. Raises ValueError outside it."""
    if not 0 <= length <= 32:
        raise ValueError("not a prefix length: %d" % length)
    return BROADCAST << (32 - length) & BROADCAST


def parse_prefix(text: str) -> tuple:
    """Text such as 10.10.0.0/24 to (network, length). Raises ValueError where host bits are set."""
    network, _, digits = text.partition("/")
    length = _decimal(digits)
    if length is None:
        raise ValueError("not a prefix: %s" % text)
    address = parse(network)
    if address & ~mask(length) & BROADCAST:
        raise ValueError("host bits are set in %s" % text)
    return address, length


def in_prefix(address: int, network: int, length: int) -> bool:
    return address & mask(length) == network


def is_unicast(address: int) -> bool:
    """Whether an address can belong to one host: not 0/8, 127/8, 224/3 (RFC 1122 §3.2.1.3)."""
    first = address >> 24
    return 0 < first < 224 and first != 127


def show_link(link_address: bytes) -> str:
    """Link-layer address in lower case with colons."""
    return ":".join(["%02x" % octet for octet in link_address])


def parse_link(text: str) -> bytes:
    """Six pairs of hexadecimal digits with colons, in any case, to octets. Raises ValueError."""
    parts = text.split(":")
    if len(parts) != 6 or not all([len(part) == 2 and all([digit in _HEX for digit in part]) for part in parts]):
        raise ValueError("not a link-layer address: %s" % text)
    return bytes([int(part, 16) for part in parts])
