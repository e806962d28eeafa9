"""What a Registration Reply has to repeat to be believed, and what it says (RFC 5944 §3.6.2).

believed: the extensions that its authenticators cover. request: the one that it answers. told: the sub-NAI in that, b""
for none.
"""

from mip4.compat import const
from mip4.const import FLAG_D, FLAG_G
from mip4.errors import Unexpected
from mip4.extensions import MessageString, Nai, UdpTunnelReply, UdpTunnelRequest, find
from mip4.sub_nai import find_sub_nai

_DECLINED = const(64)  # of a UDP Tunnel Reply: from here on it says no (RFC 3519 §3.2)
_LONGEST = const(100)  # octets of a peer's text in a log line


def check(reply, believed: list, request, node, told: bytes) -> None:
    """An accepted reply repeats our NAI, and gives what was asked for (MN-18). Raises Unexpected."""
    nais = find(believed, Nai)
    if len(nais) != 1 or nais[0].nai != node.nai:
        raise Unexpected("accepted without our NAI")
    if not told and not is_named(believed, node, told):
        raise Unexpected("accepted for a sub-NAI that was not asked for")
    if reply.lifetime and not (reply.home_address and reply.home_agent):
        raise Unexpected("accepted without an address")
    if request.lifetime and not reply.lifetime:
        raise Unexpected("accepted for no time")


def is_named(believed: list, node, told: bytes) -> bool:
    """Whether the sub-NAI came back identically (MN-18)."""
    found = find_sub_nai(believed, node.sub_nai_vendor, node.nai)
    return (b"" if found is None else found.sub_nai) == told


def tunnel(request, believed: list) -> tuple:
    """How packets travel now, and the seconds between keepalives (MN-20).

    Without assent there is no UDP, whatever was asked for.
    """
    if not request.flags & FLAG_D:
        return "", 0
    answers = find(believed, UdpTunnelReply)
    asked = find(request.extensions, UdpTunnelRequest)
    if asked and answers and answers[0].code < _DECLINED:
        return "udp", answers[0].keepalive
    return "gre" if request.flags & FLAG_G else "ipip", 0


def text_of(believed: list) -> str:
    """What it says to a person, for a log line: bounded, and without control characters."""
    texts = find(believed, MessageString)
    return "".join([chr(octet) if 0x20 <= octet < 0x7F else "?" for octet in texts[0].text[:_LONGEST]]) if texts else ""
