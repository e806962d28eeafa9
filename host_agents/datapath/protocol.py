"""What carries tunnelled packets, whichever way this router can do it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from host_agents.datapath.udp_carrier import UdpPort
from host_agents.effects import InstallDelivery, InstallTunnel, RemoveDelivery, RemoveTunnel, TunnelEnd

HOME, VISITED = "home", "visited"  # at which end of the tunnels an agent is

Rebound = Callable[[int, int, int], None]  # home address, source, port


@dataclass(slots=True)
class Counters:
    """Packets of one home address and their octets, outer headers not counted. in: towards the device.

    heard: when the last one came from the device, ms since boot; None where none has, or nobody took note.
    """

    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    heard: int | None = None

    def __add__(self, more: Counters) -> Counters:
        return Counters(
            self.packets_in + more.packets_in,
            self.packets_out + more.packets_out,
            self.bytes_in + more.bytes_in,
            self.bytes_out + more.bytes_out,
            max((one for one in (self.heard, more.heard) if one is not None), default=None),
        )


class Datapath(Protocol):
    """Tunnels from this agent, one per home address.

    name: as the configuration calls it. capabilities: which it has to keep besides those that every agent keeps.
    """

    name: str
    capabilities: frozenset[int]

    @property
    def dropped(self) -> Counter[str]:
        """Reason -> packets that went nowhere."""
        ...

    def open(self) -> None:
        """Take hold of the device and of what a former run left in it. Raises KernelRefused.

        Again after the device was lost: then the tunnels are as they were.
        """
        ...

    def close(self) -> None:
        """Let go; the device and its routes stay, for a restart to go on with."""
        ...

    def use(self, port: UdpPort, rebound: Rebound) -> None:
        """Carry message 4 through the agent's own socket (RFC 3519).

        rebound(home_address, source, port): a keepalive came from where no tunnel ends, as after a NAT has forgotten.
        It is not believed, since anybody can send one.
        """
        ...

    def watch(self, lost: Callable[[], None]) -> None:
        """lost(): somebody has deleted the device; nothing is carried until open()."""
        ...

    def install(self, effect: InstallTunnel) -> None:
        """Begin, or move, a tunnel. Raises KernelRefused."""
        ...

    def restore(self, effects: Iterable[InstallTunnel]) -> None:
        """After a start: these tunnels at once, and no others that a former run has left. Raises KernelRefused."""
        ...

    def extend(self, ends: Mapping[int, int | None]) -> None:
        """By home address, the new InstallTunnel.expires of tunnels that are there. Raises KernelRefused: of none."""
        ...

    def remove(self, effect: RemoveTunnel) -> None:
        """End a tunnel; one that is not there is no error. Raises KernelRefused."""
        ...

    def guard(self, effect: InstallDelivery) -> None:
        """The tunnel's visitor is there; what comes in its name from elsewhere is not its own. Raises KernelRefused."""
        ...

    def unguard(self, effect: RemoveDelivery) -> None:
        """Undo guard(); what is not there is no error. Raises KernelRefused."""
        ...

    def ends(self, home_address: int) -> tuple[TunnelEnd, ...]:
        """Of the tunnel as it is now; none for an address that has none."""
        ...

    def counters(self, home_address: int) -> Counters:
        """What was carried since the tunnel began; zeros for an address that has none."""
        ...
