"""Short ways to say what a test needs: keys, policies, configurations, a DHCP message."""

from __future__ import annotations

from typing import Any

from host_agents.foreign_agent.policy import Policy as ForeignAgentPolicy
from host_agents.foreign_agent.policy import VisitedInterface
from host_agents.home_agent.policy import HomeNetwork, Subscriber
from host_agents.home_agent.policy import Policy as HomeAgentPolicy
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.cursor import pack

NAI = "kleung@example.net"
KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
SPI = 256
HOME_AGENT = parse("192.0.2.1")
FOREIGN_AGENTS = {"fa1": parse("203.0.113.2"), "fa2": parse("203.0.113.66")}
VISITED = {"fa1": parse("10.99.1.1"), "fa2": parse("10.99.2.1")}
PC1 = bytes.fromhex("020000000011")
PC2 = bytes.fromhex("020000000012")
GATEWAY = parse("10.10.0.1")
NTP_2026 = 3_976_214_400_000  # ms


def a_subscriber(nai: str = NAI, sessions: int = 8, **changes: Any) -> Subscriber:
    return Subscriber(nai, {SPI: SecurityAssociation(SPI, KEY)}, sessions, **changes)


def a_home_agent_policy(**changes: Any) -> HomeAgentPolicy:
    values: dict[str, Any] = {
        "address": HOME_AGENT,
        "lifetime": 1800,
        "networks": (
            HomeNetwork(
                prefix=(parse("10.10.0.0"), 24),
                pool=((parse("10.10.0.10"), parse("10.10.0.250")),),
                gateway=GATEWAY,
                dns=(parse("198.51.100.53"),),
            ),
        ),
        "subscribers": {NAI: a_subscriber()},
        "foreign_agents": {},
    }
    return HomeAgentPolicy(**{**values, **changes})


def a_foreign_agent_policy(name: str = "fa1", **changes: Any) -> ForeignAgentPolicy:
    values: dict[str, Any] = {
        "care_of_address": FOREIGN_AGENTS[name],
        "interfaces": (VisitedInterface("vis0", VISITED[name], 24),),
        "lifetime": 600,
        "advertise_interval": 1000,
        "registration_required": True,
        "reverse_tunnel": True,
        "requests_per_minute": 60,
        "connected": ((VISITED[name] & 0xFFFFFF00, 24),),
    }
    return ForeignAgentPolicy(**{**values, **changes})


def a_node_config(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "nai": NAI,
        "home_agent": HOME_AGENT,
        "requested_home_agent": 0,
        "spi": SPI,
        "key": KEY,
        "algorithm": "hmac-md5",
        "replay": "timestamps",
        "aaa": None,
        "lifetime": 600,
        "mode": "auto",
        "force_udp": False,
        "sessions": 16,
        "link_mtu": 1500,
        "reverse_tunnel": True,
        "encapsulation": "ipip",
        "delivery": "direct",
        "simultaneous": False,
        "broadcast": False,
        "own_session": "",
        "sub_nai_vendor": 0,
        "sub_nai_type": 1,
        "downlinks": [],
        "names": {},
        "applications": [],
        "foreign_agents": [],
    }
    return {**values, **changes}


def a_dhcp_message(
    kind: int, link_address: bytes, client_address: int = 0, asked: int = 0, server: int = 0, host_name: str = ""
) -> bytes:
    """What a client would send (RFC 2131 §4.4). kind: 1 DISCOVER, 3 REQUEST, 7 RELEASE."""
    head = pack("BBBBIHHIIII", 1, 1, 6, 0, 0x1234, 0, 0, client_address, 0, 0, 0)
    octets = head + link_address + bytes(10 + 64 + 128) + pack("IBBB", 0x63825363, 53, 1, kind)
    for option, value in ((50, asked), (54, server)):
        if value:
            octets += pack("BBI", option, 4, value)
    if host_name:
        octets += pack("BB", 12, len(host_name)) + host_name.encode()
    return octets + b"\xff"
