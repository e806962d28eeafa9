"""ARP on the uplink while that is our home link (RFC 5944 §4.6): for the node's own home addresses and its devices'.

Devices' addresses are not this machine's, so its kernel would not answer for them; it is told not to answer for the
node's own ones either (arp_ignore), because everywhere else they must not be answered for.
"""

import asyncio

from mip4.arp import ARP_REQUEST, ETHERTYPE_ARP, Arp, gratuitous
from mip4.compat import const
from mip4.errors import Malformed
from port_unix.sockets import NOT_OURS, NOTHING, PacketSocket, attach_filter
from runtime.sockets import readable, would_block

_EVERYBODY = b"\xff\xff\xff\xff\xff\xff"
_TIMES = const(3)  # that a gratuitous ARP is sent: "a small number" (RFC 5944 §4.6)
_APART_MS = const(1000)
_ENETDOWN = const(100)  # what a packet socket says once when its interface goes


class HomeArp:
    """Silent and deaf until begin()."""

    def __init__(self):
        """Raises KernelRefused."""
        self._frames = PacketSocket(NOTHING, ETHERTYPE_ARP)
        self._link_address = b""
        self._on = False
        self._attached = []
        self._announcing = {}  # home address -> how many times more
        self._more = asyncio.Event()

    def bind(self, index: int, link_address: bytes) -> None:
        """Raises KernelRefused."""
        self._link_address = link_address
        self._frames.bind(index, link_address)

    def attach(self, home_address: int) -> None:
        """One more to be answered for at home. Raises OSError."""
        if home_address not in self._attached:
            self._attached.append(home_address)
            if self._on:
                self._announce(home_address, _TIMES)

    def detach(self, home_address: int) -> None:
        """Not that one any longer."""
        self._attached = [one for one in self._attached if one != home_address]
        self._announcing.pop(home_address, None)

    def begin(self) -> None:
        """We are at home. Raises OSError."""
        if not self._on:
            self._on = True
            attach_filter(self._frames.socket, NOT_OURS)
            for home_address in self._attached:
                self._announce(home_address, _TIMES)

    def end(self) -> None:
        """We are not. Raises OSError."""
        self._on = False
        self._announcing = {}
        attach_filter(self._frames.socket, NOTHING)

    async def serve(self, runtime) -> None:
        """The source of questions, which concern nobody else."""
        while True:
            await readable(self._frames.socket)
            try:
                packet, link_address, _ = self._frames.receive()
                arp = Arp.decode(packet)
            except Malformed:
                continue
            except OSError as error:
                if not would_block(error) and error.errno != _ENETDOWN:
                    raise
                continue
            if self._on and arp.operation == ARP_REQUEST and arp.target in self._attached and not arp.is_gratuitous():
                runtime.attempt(self._frames.send, link_address, arp.answer(self._link_address).encode())

    async def repeat(self, runtime) -> None:
        """The gratuitous ARPs after the first."""
        while True:
            await self._more.wait()
            self._more.clear()
            await asyncio.sleep_ms(_APART_MS)
            for home_address, times in list(self._announcing.items()):
                runtime.attempt(self._announce, home_address, times)

    def _announce(self, home_address: int, times: int) -> None:
        if times > 1:
            self._announcing[home_address] = times - 1
            self._more.set()
        else:
            self._announcing.pop(home_address, None)
        self._frames.send(_EVERYBODY, gratuitous(home_address, self._link_address).encode())
