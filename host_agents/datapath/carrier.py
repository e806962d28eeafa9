"""What takes packets of one encapsulation to the tunnel's other end and brings some back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from host_agents.datapath.inner import Inner


class Carrier(Protocol):
    """One encapsulation over its socket. name: as TunnelEnd.encapsulation."""

    name: str

    def takes(self, inner: Inner) -> bool:
        """Whether it can carry this packet at all."""
        ...

    def overhead(self, inner: Inner) -> int:
        """By how many octets the packet grows."""
        ...

    def send(self, inner: Inner, remote: str, port: int) -> None:
        """One packet into the tunnel, TOS and DF copied. Raises OSError; EMSGSIZE: DF is set and it is too long."""
        ...


@dataclass(slots=True)
class TunnelError:
    """An ICMP error about a packet of ours. inner: what it quotes, None if too little. remote, port: where it went."""

    inner: Inner | None
    remote: int
    port: int
    kind: int
    code: int


@dataclass(slots=True, frozen=True)
class Exit:
    """Where a carrier leaves what it gets.

    arrived(carrier, inner, source, port, tos): the last three of the outer packet; port: 0 where there is none.
    dropped(reason).
    """

    arrived: Callable[[Carrier, Inner, int, int, int], None]
    failed: Callable[[Carrier, TunnelError], None]
    dropped: Callable[[str], None]
