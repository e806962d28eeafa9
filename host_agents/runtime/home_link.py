"""A home network that is a real link: advertised on, ARP answered for who is away, told of who comes home."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from host_agents.effects import SendFrame
from host_agents.home_agent.advertiser import Advertiser
from host_agents.home_agent.policy import HomeNetwork
from host_agents.runtime.agent_link import AgentLink, Arrived
from host_agents.runtime.arp import ProxyArp
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.meters import Meters
from mip4.const import PROTO_ICMP
from mip4.discovery import AgentSolicitation
from mip4.errors import MipError
from mip4.ip import Packet

_LOOK = 30.0  # seconds between two questions whether who came home is still there
_SILENCES = 3  # unanswered ones, after which he is not
_AT_ONCE, _PAUSE = 64, 0.05  # questions in one go, and seconds to the next ones

Occupied = Callable[[int, bool], None]  # home address, whether somebody is there with it


@dataclass(slots=True)
class _Guest:
    """Who uses a home address on the link itself. link_address: empty while it is not known, and to be told."""

    link_address: bytes = b""
    silences: int = 0


class HomeLink:
    """now: the engine's clock. occupied: told of pool addresses that are in use here without a binding.

    A node at home has no binding, and no lifetime: nothing but ARP shows that its address is still in use, and nobody
    else is to get that address while it is.
    """

    def __init__(
        self,
        network: HomeNetwork,
        advertiser: Advertiser,
        occupied: Occupied,
        now: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        meters: Meters,
    ) -> None:
        self.network = network
        self._meters = meters
        self._advertiser = advertiser
        self._occupied = occupied
        self._now = now
        self._loop = loop
        self._link = AgentLink(network.interface, [], self._arrived, self._came_up, loop)
        self._arp = ProxyArp(network.interface, network.address, loop, self._heard, meters.arp)
        self._away: dict[int, bytes] = {}  # home address -> where somebody else says it is, b"" for nowhere
        self._guests: dict[int, _Guest] = {}
        self._questions: deque[int] = deque()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def open(self) -> None:
        """Raises KernelRefused."""
        self._link.open()
        self._arp.open()

    def start(self, given_back: Iterable[int]) -> None:
        """Begin to advertise. given_back: addresses without a binding, of which an earlier life may know more."""
        self._advertise()
        self._questions.extend(given_back)
        self._ask()
        self._timers["look"] = self._loop.call_later(_LOOK, self._look)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._link.close()
        self._arp.close()

    @property
    def index(self) -> int:
        """Of the interface as it is now, 0 while it is not there."""
        with contextlib.suppress(OSError):
            return socket.if_nametoindex(self.network.interface)
        return 0

    def away(self, home_address: int) -> None:
        """Registered somewhere else: its packets come to us."""
        self._away.setdefault(home_address, b"")
        self._guests.pop(home_address, None)
        self._arp.answer_for(home_address)

    def back(self, home_address: int) -> None:
        """Registered no longer: who has it answers for himself, if anybody does."""
        link_address = self._away.pop(home_address, None)
        self._arp.stop(home_address)
        if link_address:
            self._heard(home_address, link_address)

    def came_home(self, home_address: int) -> None:
        """Its node says authentically that it is here: tell the link where, as soon as that is known."""
        guest = self._guests.setdefault(home_address, _Guest())
        self._occupied(home_address, True)
        if guest.link_address:
            self._arp.announce(home_address, guest.link_address)
        else:
            self._arp.ask(home_address)

    def _heard(self, home_address: int, link_address: bytes) -> None:
        if home_address in self._away:
            self._away[home_address] = link_address
            return
        guest = self._guests.get(home_address)
        if guest is None and self.network.in_pool(home_address):
            guest = self._guests[home_address] = _Guest(link_address)
            self._occupied(home_address, True)
        if guest is not None:
            asked_for, guest.link_address, guest.silences = not guest.link_address, link_address, 0
            if asked_for:
                self._arp.announce(home_address, link_address)

    def _look(self) -> None:
        for home_address, guest in list(self._guests.items()):
            guest.silences += 1
            if guest.silences > _SILENCES:
                del self._guests[home_address]
                self._occupied(home_address, False)
        self._questions.extend(self._guests)
        self._ask()
        self._timers["look"] = self._loop.call_later(_LOOK, self._look)

    def _ask(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._questions))):
            self._arp.ask(self._questions.popleft())
        if self._questions:
            self._timers["ask"] = self._loop.call_later(_PAUSE, self._ask)

    def _advertise(self) -> None:
        now = self._now()
        self._send(self._advertiser.advertise(False, now))
        wait = (self._advertiser.due or now) - now
        self._timers["advertise"] = self._loop.call_later(wait / 1000, self._advertise)

    def _arrived(self, arrived: Arrived) -> None:
        """Registrations come to the agent's own socket; here it is solicitations, and noise."""
        self._meters.nodes_received.count_packet(arrived.packet, False)
        with contextlib.suppress(MipError):
            packet = Packet.decode(arrived.packet)
            if packet.protocol != PROTO_ICMP or packet.ttl != 1:
                return
            AgentSolicitation.decode(packet.payload)
            for frame in self._advertiser.solicited(arrived.link_address, False, self._now()):
                self._send(frame)

    def _send(self, frame: SendFrame) -> None:
        self._meters.nodes_sent.count_frame(frame)
        self._link.send(frame)

    def _came_up(self) -> None:
        with contextlib.suppress(KernelRefused):  # away once more: it will come up again
            self._arp.open()
