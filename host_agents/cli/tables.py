"""What `show` prints for people: keys of a row and their headings, and what it says where there is nothing."""

from __future__ import annotations

_TWO = {"what": "what", "is": "is"}

TABLES: dict[str, dict[str, str]] = {
    "bindings": {
        "nai": "NAI",
        "sub_nai": "sub-NAI",
        "home_address": "IP address",
        "care_of_address": "care-of address",
        "tunnel": "tunnel",
        "expires_in": "lifetime left",
        "packets_in": "packets in",
        "packets_out": "packets out",
    },
    "visitors": {
        "nai": "NAI",
        "sub_nai": "sub-NAI",
        "home_address": "IP address",
        "home_agent": "home agent",
        "interface": "interface",
        "link_address": "link address",
        "expires_in": "lifetime left",
        "state": "state",
    },
    "pools": {
        "network": "home network",
        "interface": "interface",
        "addresses": "addresses",
        "bound": "bound",
        "reserved": "kept",
        "free": "free",
    },
    "peers": {"address": "agent", "key": "shared key", "bindings": "bindings", "visitors": "visitors"},
    "handoffs": {"nai": "NAI", "time": "when", "place": "came to", "sessions": "sessions", "gap_ms": "silent ms"},
    "events": {"time": "when", "level": "level", "text": "what"},
    "counters": {"what": "event", "is": "count"},
    "status": _TWO,
}
NOTHING = {
    "bindings": "no bindings: no node has registered, or all have been released. `entourage ha watch` shows who comes",
    "visitors": "no visitors: no node is registered through this agent. `entourage fa watch` shows who comes",
    "pools": "no home networks",
    "peers": "no peers: no key is shared with another agent, and nobody has come through one",
    "handoffs": "no node has come or gone since the start",
    "events": "nothing has happened since the start",
    "counters": "nothing has been counted since the start",
    "status": "nothing is known",
}
