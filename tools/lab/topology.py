"""Cables the world together as design.md's lab has it, and moves nodes about in it."""

from __future__ import annotations

import time

from tools.lab import plan as places
from tools.lab.errors import LabFailed
from tools.lab.links import Links
from tools.lab.plan import NodePlan, WorldPlan


def build(links: Links, plan: WorldPlan) -> None:
    """Interfaces, addresses and routes of every place. Raises KernelRefused."""
    for name, (address, router, length) in places.NETWORKS.items():
        links.cable(name, "net0", "inet", f"net-{name}")
        links.address(name, "net0", f"{address}/{length}")
        links.address("inet", f"net-{name}", f"{router}/{length}")
        links.route(name, "0.0.0.0/0", router)
    links.route("inet", places.HOME_PREFIX, places.HOME_AGENT)
    for number, (name, (address, prefix)) in enumerate(places.VISITED_LINKS.items(), start=1):
        links.bridge(name, "vis0", f"02:00:00:00:02:{number:02x}")
        links.keep_carrier(name, "vis0")
        links.address(name, "vis0", address)
        links.route("inet", prefix, places.NETWORKS[name][0])
    for node in plan.nodes:
        _build_node(links, node)


def _build_node(links: Links, node: NodePlan) -> None:
    link_address = places.node_link_address(node.name)
    links.cable(node.name, "up0", node.at, _station(node.name), link_address)
    links.enslave(node.at, _station(node.name), "vis0")
    links.bridge(node.name, "down0", link_address.replace("02:00:00:00:01", "02:00:00:00:03"))
    for device in node.devices:
        links.cable(device, "net0", node.name, _port(device), places.device_link_address(device))
        links.enslave(node.name, _port(device), "down0")


def _station(node: str) -> str:
    return f"sta-{node}"


def _port(device: str) -> str:
    return f"dev-{device}"


def where(links: Links, node: str) -> str:
    """At which foreign agent the node's uplink ends. Raises LabFailed."""
    for place in places.FOREIGN_AGENTS:
        if links.has(place, _station(node)):
            return place
    raise LabFailed(f"the uplink of {node} ends nowhere")


def roam(links: Links, node: str, to: str) -> float:
    """The uplink loses carrier, its far end moves to the visited link of `to`, carrier returns: seconds that took."""
    here = where(links, node)
    links.index(to, "vis0")
    began = time.monotonic()
    links.set(here, _station(node), state="down")
    # the kernel tells of a change some time after it, and of one that is over by then not at all
    while links.operational(node, "up0"):
        time.sleep(0.0005)
    if here != to:
        links.move(_station(node), here, to)
    links.enslave(to, _station(node), "vis0")
    return time.monotonic() - began


def leave(links: Links, node: str) -> None:
    """Out of everyone's range: no carrier, until the next roam()."""
    links.set(where(links, node), _station(node), state="down")


def plug(links: Links, node: str, device: str, plugged: bool) -> None:
    """The device's cable into the node, or out of it: both ends see the carrier change."""
    links.set(node, _port(device), state="up" if plugged else "down")
