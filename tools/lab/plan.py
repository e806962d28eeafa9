"""What a world consists of: its places and addresses, and which nodes with which devices live in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CORE = ("cn", "inet", "ha", "fa1", "fa2", "nat")
FOREIGN_AGENTS = ("fa1", "fa2")
HOME_PREFIX = "10.10.0.0/24"
HOME_AGENT = "192.0.2.1"
DNS_SERVER = "198.51.100.53"
# On the real home link the home agent's kernel answers for it, an ordinary router; on its downlinks each node does.
HOME_GATEWAY = "10.10.0.1"
HOME_HOST = "10.10.0.200"  # of the place home1, a plain neighbour; the pool ends before it
POOL = "10.10.0.10-10.10.0.250"
POOL_BESIDE_HOST = "10.10.0.10-10.10.0.199"
_ROOM = 190  # addresses in the smaller of them; for more sessions the home network is a larger one
_WIDE_HOME_PREFIX, _WIDE_POOL = "10.10.0.0/22", "10.10.1.0-10.10.3.250"
MOST_NODES = 200  # each with its own octet in link addresses, and an address from each visited link's DHCP server

# Name: its address on net0, the address of `inet` on the same link (the last host), prefix length.
NETWORKS = {
    "cn": ("198.51.100.2", "198.51.100.254", 24),
    "ha": (HOME_AGENT, "192.0.2.254", 24),
    "fa1": ("203.0.113.2", "203.0.113.62", 26),
    "fa2": ("203.0.113.66", "203.0.113.126", 26),
    "nat": ("203.0.113.130", "203.0.113.190", 26),
}
# Name: its address on vis0, the visited link's prefix. Behind `nat` it is private: `inet` has no route to it.
VISITED_LINKS = {
    "fa1": ("10.99.1.1/24", "10.99.1.0/24"),
    "fa2": ("10.99.2.1/24", "10.99.2.0/24"),
    "nat": ("192.168.7.1/24", "192.168.7.0/24"),
}
# Where a node's uplink can be: the place and the bridge there.
ATTACHMENTS = {"fa1": ("fa1", "vis0"), "fa2": ("fa2", "vis0"), "nat": ("nat", "vis0"), "home": ("ha", "home0")}


@dataclass(slots=True, frozen=True)
class NodePlan:
    """A mobile node. devices: names pc1, pc2, ...; odd ones run udhcpc, even ones dhclient. at: where it starts.

    serial: those of them that have a serial line and run `entourage attach`; the line is named as the device is.
    address: of its uplink, "none", "dhcp" or "A.B.C.D/N". settings: keys of its JSON configuration that replace or
    join the usual ones.
    """

    name: str
    nai: str
    devices: tuple[str, ...]
    at: str = "fa1"
    settings: Mapping[str, object] = field(default_factory=dict)
    address: str = "none"
    serial: tuple[str, ...] = ()


def usual_nodes(count: int = 1, address: str = "none") -> tuple[NodePlan, ...]:
    """mn with pc1 and pc2; then mn2 with pc3, mn3 with pc4, each with an NAI of its own. address: of their uplinks."""
    more = [NodePlan(f"mn{k}", f"mn{k}@example.net", (f"pc{k + 1}",), address=address) for k in range(2, count + 1)]
    return (NodePlan("mn", "kleung@example.net", ("pc1", "pc2"), address=address), *more)


@dataclass(slots=True, frozen=True)
class WorldPlan:
    """lifetime: seconds, the most that is granted, relayed and asked for. advertise_interval: seconds.

    home_agent, foreign_agent, network: further keys of those tables; subscribers: by NAI, further keys of a
    [[subscriber]]. home_agent_tables, foreign_agent_tables: whole tables after the usual ones, each an element of the
    array of tables with that name; every foreign agent gets the same.

    home_link: the home network is a real link, home0 of the place ha, with the host home1 on it; else it is virtual.
    nat_timeout: seconds without a packet after which `nat` forgets a UDP mapping. delay: milliseconds that each packet
    takes between `inet` and the home agent, in the place `wire`; 0: there is no such place.
    """

    nodes: tuple[NodePlan, ...] = field(default_factory=usual_nodes)
    lifetime: int = 600
    advertise_interval: float = 1.0
    home_agent: Mapping[str, object] = field(default_factory=dict)
    foreign_agent: Mapping[str, object] = field(default_factory=dict)
    network: Mapping[str, object] = field(default_factory=dict)
    subscribers: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    home_agent_tables: tuple[tuple[str, Mapping[str, object]], ...] = ()
    foreign_agent_tables: tuple[tuple[str, Mapping[str, object]], ...] = ()
    home_link: bool = False
    nat_timeout: int = 30
    delay: float = 0.0

    def node(self, name: str) -> NodePlan | None:
        return next((node for node in self.nodes if node.name == name), None)

    def node_of(self, device: str) -> NodePlan | None:
        return next((node for node in self.nodes if device in node.devices), None)

    def devices(self) -> list[str]:
        return [device for node in self.nodes for device in node.devices]

    @property
    def is_wide(self) -> bool:
        """Whether there are more sessions than the usual home network has addresses for."""
        return len(self.nodes) + len(self.devices()) > _ROOM

    @property
    def home_prefix(self) -> str:
        return _WIDE_HOME_PREFIX if self.is_wide else HOME_PREFIX

    @property
    def pool(self) -> list[str]:
        return [POOL_BESIDE_HOST if self.home_link else POOL, *([_WIDE_POOL] if self.is_wide else [])]

    def is_serial(self, device: str) -> bool:
        return any(device in node.serial for node in self.nodes)

    def names(self) -> list[str]:
        """Of all namespaces, the core first."""
        home = ["home1"] if self.home_link else []
        wire = ["wire"] if self.delay else []
        return [*CORE, *home, *wire, *(node.name for node in self.nodes), *self.devices()]

    def attachments(self) -> list[str]:
        """Where a node can roam to."""
        return [name for name in ATTACHMENTS if name != "home" or self.home_link]


def device_number(device: str) -> int:
    return int(device.removeprefix("pc"))


def device_link_address(device: str) -> str:
    """pc1 has 02:00:00:00:00:11."""
    return f"02:00:00:00:00:{device_number(device) + 0x10:02x}"


def device_name(device: str) -> str:
    """The sub-NAI of a device, as the origin document's figures have it: pc1 is KleungPC1."""
    return f"KleungPC{device_number(device)}"


def node_link_address(node: str) -> str:
    """mn has 02:00:00:00:01:01 on its uplink, mn2 02:00:00:00:01:02."""
    return f"02:00:00:00:01:{int(node.removeprefix('mn') or 1):02x}"
