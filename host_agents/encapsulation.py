"""Which encapsulation a registration asks for: both agents have to conclude the same from its flags (RFC 5944 §3.3).

A request may set G and M, and no RFC says which counts then. Here it is GRE, which carries every packet; a fragment
cannot be encapsulated minimally (RFC 2004 §2).

GRE keys (RFC 6245) are not supported, and a request that has one is denied like one for an encapsulation that we do not
have (139, 72). A key tells tunnels between the same two addresses apart; here the inner home address does that, which
is checked against the tunnel's other end, and a key would protect nothing, being sent in the clear.
"""

from __future__ import annotations

from mip4.const import FLAG_G, FLAG_M
from mip4.extensions import GreKey, find
from mip4.messages import RegistrationRequest

ASKED_FOR = ("gre", "minimal")  # those that a node gets only by asking; IP-in-IP is everybody's


def encapsulation(flags: int) -> str:
    """As TunnelEnd.encapsulation. flags: of the request."""
    if flags & FLAG_G:
        return "gre"
    return "minimal" if flags & FLAG_M else "ipip"


def lacking(message: RegistrationRequest, offered: tuple[str, ...]) -> str:
    """Why the tunnel that is asked for cannot be had, "" if it can. offered: of ASKED_FOR."""
    wanted = encapsulation(message.flags)
    if find(message.extensions, GreKey):
        return "no GRE keys here"
    if wanted != "ipip" and wanted not in offered:
        return f"no {wanted} encapsulation here"
    return ""
