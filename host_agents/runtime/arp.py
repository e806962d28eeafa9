"""ARP on a home link: for home addresses whose nodes are away it is the home agent that answers (RFC 5944 §4.6).

Answered here and not by the kernel's proxy entries. What we answer for is always what the binding table says, and an
agent that has died answers for nobody, with nothing to sweep; those entries would outlive it and the lifetimes it can
no longer end, answer after a random delay, go with every `ip link set down`, and tell us nothing of a node that
returns. A restart is shorter than the three tries of whoever asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.interfaces import link_address
from host_agents.runtime.watching import watch_again
from mip4.arp import ARP_REQUEST, ETHERTYPE_ARP, Arp, gratuitous, question
from mip4.errors import Malformed

_SOL_PACKET, _IGNORE_OUTGOING = 263, 23
_EVERYBODY = b"\xff" * 6
_BATCH = 64  # frames per wake-up
_TIMES = 3  # that a gratuitous ARP is sent: "a small number" (RFC 5944 §4.6)
_APART = 1.0  # seconds

Heard = Callable[[int, bytes], None]  # home address, link address of who says it is there


class ProxyArp:
    """One link's. own: our address there, asked from. heard: called for every sender of ARP. sent: what is counted."""

    def __init__(
        self, interface: str, own: int, loop: asyncio.AbstractEventLoop, heard: Heard, sent: dict[str, int]
    ) -> None:
        self._interface = interface
        self._own = own
        self._link_address = b""
        self._loop = loop
        self._heard = heard
        self._sent = sent
        self._socket: socket.socket | None = None
        self._answered: set[int] = set()
        self._announcing: dict[int, asyncio.TimerHandle] = {}

    def open(self) -> None:
        """Also anew, when the interface is another one of the same name. Raises KernelRefused."""
        self._forget()
        self._link_address = link_address(self._interface)
        try:
            # Protocol 0 until bound: nothing comes in from another interface
            self._socket = sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            sock.setblocking(False)
            sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            sock.bind((self._interface, ETHERTYPE_ARP))
        except OSError as error:
            self._forget()
            raise KernelRefused(f"ARP on home link {self._interface}", error) from error
        self._loop.add_reader(sock, self._drain, sock)
        for home_address in self._answered:
            self.announce(home_address, self._link_address)

    def close(self) -> None:
        for announcing in self._announcing.values():
            announcing.cancel()
        self._announcing.clear()
        self._forget()

    def answer_for(self, home_address: int) -> None:
        """It is away: say that it is to be found here, and answer so from now on."""
        if home_address not in self._answered:
            self._answered.add(home_address)
            self.announce(home_address, self._link_address)

    def stop(self, home_address: int) -> None:
        """Answer for it no longer."""
        self._answered.discard(home_address)
        announcing = self._announcing.pop(home_address, None)
        if announcing is not None:
            announcing.cancel()

    def announce(self, home_address: int, link_address: bytes, times: int = _TIMES) -> None:
        """Gratuitous ARP, now and a few times more, instead of what was announced of this address before."""
        former = self._announcing.pop(home_address, None)
        if former is not None:
            former.cancel()
        self._sent["gratuitous"] += 1
        self._send(gratuitous(home_address, link_address), _EVERYBODY)
        if times > 1:
            again = self._loop.call_later(_APART, self.announce, home_address, link_address, times - 1)
            self._announcing[home_address] = again

    def ask(self, home_address: int) -> None:
        """Whoever is there with it is heard."""
        self._send(question(home_address, self._link_address, self._own), _EVERYBODY)

    def _forget(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _drain(self, sock: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                octets = sock.recv(64)
            except BlockingIOError:
                return
            except OSError:  # ENETDOWN, told once when the link goes down
                watch_again(self._loop, sock, self._drain, sock)
                return
            with contextlib.suppress(Malformed):
                self._take(Arp.decode(octets))

    def _take(self, arp: Arp) -> None:
        if arp.sender:
            self._heard(arp.sender, arp.sender_link)
        if arp.operation == ARP_REQUEST and arp.target in self._answered and not arp.is_gratuitous():
            self._sent["proxy"] += 1
            self._send(arp.answer(self._link_address), arp.sender_link)

    def _send(self, arp: Arp, to: bytes) -> None:
        """What cannot leave is lost, as on any link: who wants to know asks again."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(arp.encode(), (self._interface, ETHERTYPE_ARP, 0, 0, to))
