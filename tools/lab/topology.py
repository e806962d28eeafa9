"""Cables the world together as plan.py has it, and moves nodes about in it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tools.lab import plan as places
from tools.lab.errors import LabFailed
from tools.lab.links import Links
from tools.lab.plan import NodePlan, WorldPlan

_PATIENCE = 5.0  # seconds for a carrier to come or go


def build(links: Links, plan: WorldPlan) -> None:
    """Interfaces, addresses and routes of every place. Raises KernelRefused."""
    for name, (address, router, length) in places.NETWORKS.items():
        if name == "ha" and plan.delay:
            links.cable(name, "net0", "wire", "to-ha")
            links.cable("inet", f"net-{name}", "wire", "to-inet")
        else:
            links.cable(name, "net0", "inet", f"net-{name}")
        links.address(name, "net0", f"{address}/{length}")
        links.address("inet", f"net-{name}", f"{router}/{length}")
        links.route(name, "0.0.0.0/0", router)
    links.route("inet", plan.home_prefix, places.HOME_AGENT)
    for number, (name, (address, prefix)) in enumerate(places.VISITED_LINKS.items(), start=1):
        links.bridge(name, "vis0", f"02:00:00:00:02:{number:02x}")
        links.keep_carrier(name, "vis0")
        links.address(name, "vis0", address)
        if name in places.FOREIGN_AGENTS:
            links.route("inet", prefix, places.NETWORKS[name][0])
    if plan.home_link:
        _build_home(links, plan.home_prefix)
    for node in plan.nodes:
        _build_node(links, node)


def _build_home(links: Links, prefix: str) -> None:
    """The home network as a link: its router is the home agent, and a host lives there that never moves."""
    length = prefix.split("/")[1]
    links.bridge("ha", "home0", "02:00:00:00:04:01")
    links.keep_carrier("ha", "home0")
    links.address("ha", "home0", f"{places.HOME_GATEWAY}/{length}")
    links.cable("home1", "net0", "ha", "host-home1", "02:00:00:00:04:02")
    links.enslave("ha", "host-home1", "home0")
    links.address("home1", "net0", f"{places.HOME_HOST}/{length}")
    links.route("home1", "0.0.0.0/0", places.HOME_GATEWAY)


def _build_node(links: Links, node: NodePlan) -> None:
    link_address = places.node_link_address(node.name)
    place, bridge = places.ATTACHMENTS[node.at]
    links.cable(node.name, "up0", place, _station(node.name), link_address)
    links.enslave(place, _station(node.name), bridge)
    _await(links, node.name, "up0", "UP")
    links.ask_to_be_admitted(node.name, "up0")
    links.bridge(node.name, "down0", link_address.replace("02:00:00:00:01", "02:00:00:00:03"))
    for device in node.devices:
        if device in node.serial:
            continue  # its cable is a program
        links.cable(device, "net0", node.name, _port(device), places.device_link_address(device))
        links.enslave(node.name, _port(device), "down0")


def _station(node: str) -> str:
    return f"sta-{node}"


def _port(device: str) -> str:
    return f"dev-{device}"


def where(links: Links, node: str) -> str:
    """At which of the attachments the node's uplink ends. Raises LabFailed."""
    for name, (place, _) in places.ATTACHMENTS.items():
        if _station(node) in links.interfaces(place):
            return name
    raise LabFailed(f"the uplink of {node} ends nowhere")


def whereabouts(links: Links, plan: WorldPlan) -> dict[str, str]:
    """where() of every node whose uplink ends somewhere."""
    found = {name: links.interfaces(place) for name, (place, _) in places.ATTACHMENTS.items()}
    return {node.name: name for name, there in found.items() for node in plan.nodes if _station(node.name) in there}


@dataclass(slots=True, frozen=True)
class Flap:
    """When a carrier went and when it came back: seconds of the wall clock, as captures have it."""

    down: float
    up: float

    @property
    def seconds(self) -> float:
        return self.up - self.down


def roam(links: Links, node: str, to: str) -> Flap:
    """The uplink loses carrier, its far end moves to the link of `to`, carrier returns."""
    here = places.ATTACHMENTS[where(links, node)][0]
    there, bridge = places.ATTACHMENTS[to]
    links.index(there, bridge)
    down = time.time()
    links.set(here, _station(node), state="down")
    # of a change that is over before it is told of, the kernel tells nothing
    _await(links, node, "up0", "DOWN", "LOWERLAYERDOWN")
    if here != there:
        links.move(_station(node), here, there)
    links.enslave(there, _station(node), bridge)
    return Flap(down, _admit(links, node, there))


def _admit(links: Links, node: str, place: str) -> float:
    """Let the node in as an access point does, once frames of its pass; the wall clock's seconds at that moment.

    The carrier is up before: a bridge takes no frame from a port whose carrier the kernel's link watch has not seen.
    """
    _await(links, place, _station(node), "UP")
    _await(links, node, "up0", "DORMANT")
    up = time.time()
    links.admit(node, "up0")
    return up


def _await(links: Links, place: str, interface: str, *states: str) -> None:
    """Raises LabFailed."""
    deadline = time.monotonic() + _PATIENCE
    while links.operational(place, interface) not in states:
        if time.monotonic() > deadline:
            raise LabFailed(f"{interface} in {place} does not become {states[0]}")
        time.sleep(0.0005)  # the kernel tells of a change some time after it


def leave(links: Links, node: str) -> None:
    """Out of everyone's range: no carrier, until the next roam()."""
    links.set(places.ATTACHMENTS[where(links, node)][0], _station(node), state="down")


def plug(links: Links, node: str, device: str, plugged: bool) -> None:
    """The device's cable into the node, or out of it: both ends see the carrier change."""
    links.set(node, _port(device), state="up" if plugged else "down")
