"""A node of a World whose engine is on a board: the agents' engines live here, and a UDP socket joins them."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.helpers.builders import a_node_config
from tests.helpers.station import Station
from tests.helpers.world import World
from tools.board.connection import Connection

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE = 30.0  # seconds until what is awaited must be so; a board on a poor radio takes its time
_LONGEST = 65535


class RemoteNode(Station):
    """A mobile node and its link. What is sent each way begins with an octet: see on_board/node.py."""

    name = "mn1"
    link_address = bytes((2, 0, 0, 0, 1, 1))

    def __init__(self, board: Connection, host: str, **config: Any) -> None:
        """board: with on_board/node.py loaded. host: this machine's address as the board reaches it."""
        super().__init__(World())
        self.world.nodes.append(self)  # type: ignore[arg-type]
        self.at: str | None = None
        self.address = 0
        self._began = time.monotonic()
        self._statuses: list[dict[str, Any]] = []
        self._board = board
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._peer: tuple[str, int] | None = None
        board.start(f"Node({a_node_config(**config)!r}, {host!r}, {self._socket.getsockname()[1]}).serve()")
        self.await_so(lambda: self._peer is not None)

    def __enter__(self) -> RemoteNode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell(b"Q")
        self._board.finish()
        self._socket.close()

    def move(self, to: str | None) -> None:
        """To the link of a foreign agent, or of a gateway, which gives it an address."""
        if self.at is not None:
            self._get_address(0)
            self._tell(b"L")
        self.at = to
        if to is not None:
            self._tell(b"U")
            gateway = self.world.gateways.get(to)
            if gateway is not None:
                self._get_address(gateway.address)

    def status(self) -> dict[str, Any]:
        """What the engine on the board says of itself, and `effects`: kind -> how many, and `heap_used`: octets."""
        self._statuses.clear()
        self._tell(b"?")
        self.await_so(lambda: bool(self._statuses))
        return self._statuses[0]

    def await_so(self, so: Callable[[], bool]) -> None:
        """Let the world live until it is so."""
        end = time.monotonic() + PATIENCE
        while not so():
            assert time.monotonic() < end, "it did not come to that"
            self.world.pass_time(time.monotonic() - self._began - self.world.now / 1000)
            if select.select([self._socket], [], [], 0.01)[0]:
                self._take(*self._socket.recvfrom(_LONGEST))

    # ---- what the world asks of a node

    @property
    def now(self) -> int:
        return self.world.now

    @property
    def engine(self) -> RemoteNode:
        """The one on the board: a Gateway tells it what has arrived."""
        return self

    def receive(self, datagram: bytes, source: int, now: int) -> list[Any]:
        self._tell(b"D" + source.to_bytes(4, "big") + datagram)
        return []

    def tunnelled(self, packet: bytes, now: int) -> list[Any]:
        return []

    def run(self, effects: list[Any]) -> None:
        """They are done on the board."""

    def frame(self, link: str, octets: bytes, link_address: bytes) -> None:
        if self.at == link:
            self._tell(b"F" + link_address + octets)

    def deadline(self) -> int | None:
        return None

    # ---- the socket

    def _get_address(self, address: int) -> None:
        self.address = address
        self._tell(b"A" + address.to_bytes(4, "big"))

    def _tell(self, octets: bytes) -> None:
        assert self._peer is not None
        self._socket.sendto(octets, self._peer)

    def _take(self, octets: bytes, peer: tuple[str, int]) -> None:
        kind, body = octets[:1], octets[1:]
        if kind == b"B":
            self._peer = peer
        elif kind == b"S":
            self._statuses.append(json.loads(body))
        elif kind == b"F" and self.at in self.world.foreign_agents:
            self.world.foreign_agents[self.at].heard(self.link_address, body)  # type: ignore[index]
        elif kind == b"D" and self.at in self.world.gateways:
            self.world.gateways[self.at].to_home_agent(self, body)  # type: ignore[index, arg-type]
