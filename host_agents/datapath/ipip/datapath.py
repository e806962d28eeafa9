"""The datapath of a kernel that has ipip but no BPF: the kernel carries what is plain, a TunDatapath the rest.

One device in collect-metadata mode takes what its routes say goes into a tunnel, and where to. Filters on it, as of
tc-flower(8), believe an arriving packet only if its outer source, at which nobody else looks, is the end of its tunnel.
What the kernel cannot do (UDP, GRE, minimal encapsulation, simultaneous bindings, broadcasts) goes on to a TUN device
beside it, which a TunDatapath reads; what that brings comes out there.

The kernel's tunnels know no lifetime: while the daemon is down, those that it left go on. Of ICMP from inside a tunnel
it relays "too big" alone, and of the first packet that is too long for a narrower path and has no DF nothing arrives.
Written where no kernel had ipip: it has run under User-mode Linux 6.1, never on a router.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from host_agents.datapath.ipip.kernel import InKernel, aside_of
from host_agents.datapath.ipip.unheard import only
from host_agents.datapath.path_mtu import PathMtu
from host_agents.datapath.protocol import HOME, Counters, Rebound
from host_agents.datapath.tun import TunDatapath
from host_agents.datapath.udp_carrier import UdpPort
from host_agents.effects import InstallDelivery, InstallTunnel, RemoveDelivery, RemoveTunnel, TunnelEnd
from host_agents.runtime.errors import KernelRefused
from mip4.address import show


class IpipDatapath:
    """A Datapath. local, side, home_prefixes: as of TunDatapath."""

    name = "ipip"
    capabilities: frozenset[int] = frozenset()

    def __init__(
        self,
        device: str,
        local: int,
        side: str,
        loop: asyncio.AbstractEventLoop,
        home_prefixes: Iterable[tuple[int, int]] = (),
    ) -> None:
        aside = aside_of(device)
        self._home = side == HOME
        self._slow = TunDatapath(aside, local, side, loop, home_prefixes)
        self._kernel = InKernel(device, aside, local, self._home)
        self._paths = PathMtu(local)
        self._carried: dict[int, tuple[int, int]] = {}  # home address -> remote, MTU of the path there
        self._by_hand: set[int] = set()  # home addresses of the other tunnels
        self._holds = False  # what asks for path MTUs
        self._counted: dict[int, Counters] = {}  # by filters that are no longer there
        self._links: dict[int, str] = {}  # home address of a visitor with a reverse tunnel -> its link

    @property
    def dropped(self) -> Counter[str]:
        """As Datapath.dropped. The kernel tells only of packets that no tunnel believes, for whatever reason."""
        return self._slow.dropped + Counter({"no tunnel believes it": self._kernel.unbelieved()})

    def open(self) -> None:
        """As Datapath.open. The tunnels of a former run end here; restore() begins them anew."""
        self._kernel.possible()
        with contextlib.ExitStack() as undone:
            undone.callback(self._let_all_go)
            self._slow.open()
            try:
                if not self._holds:
                    self._paths.open()
                self._holds = True
                self._kernel.open()
                self._slow.hear("ipip", only(self._by_hand, self._home))
                former, self._carried = self._carried, {}
                for home_address, (remote, _) in former.items():  # of this run, whose device was lost
                    self._carry(home_address, remote)
            except OSError as error:
                raise KernelRefused("ipip", error) from error
            undone.pop_all()

    def close(self) -> None:
        """As Datapath.close. What the kernel carries it goes on to carry."""
        if self._holds:
            self._let_all_go()
            self._kernel.close()

    def _let_all_go(self) -> None:
        self._slow.close()
        if self._holds:
            self._paths.close()
            self._holds = False

    def use(self, port: UdpPort, rebound: Rebound) -> None:
        """As Datapath.use."""
        self._slow.use(port, rebound)

    def watch(self, lost: Callable[[], None]) -> None:
        """As Datapath.watch. It is the device aside that tells; of the other nobody hears that it is gone."""
        self._slow.watch(lost)

    def restore(self, effects: Iterable[InstallTunnel]) -> None:
        """As Datapath.restore. Those of a former run have ended in open()."""
        for effect in effects:
            self.install(effect)

    def extend(self, ends: Mapping[int, int | None]) -> None:
        """As Datapath.extend. The kernel's tunnels know no lifetime."""

    def install(self, effect: InstallTunnel) -> None:
        """As Datapath.install."""
        self._slow.install(effect)
        try:
            if _plain(effect):
                self._carry(effect.home_address, effect.ends[0].remote)
            else:
                self._sort(effect.home_address, by_hand=True)
                self._let_go(effect.home_address)
        except OSError as error:
            raise KernelRefused(f"tunnel {show(effect.home_address)}", error) from error

    def remove(self, effect: RemoveTunnel) -> None:
        """As Datapath.remove."""
        self._slow.remove(effect)
        try:
            self._let_go(effect.home_address)
            self._sort(effect.home_address, by_hand=False)
        except OSError as error:
            raise KernelRefused(f"remove tunnel {show(effect.home_address)}", error) from error
        self._counted.pop(effect.home_address, None)

    def guard(self, effect: InstallDelivery) -> None:
        """As Datapath.guard: by link and address, which is how its packets find the reverse tunnel."""
        if not effect.reverse:
            self.unguard(RemoveDelivery(effect.home_address, effect.interface))
            return
        self._links[effect.home_address] = effect.interface
        if effect.home_address in self._carried:
            self._kernel.reverse(effect.home_address, effect.interface, self._carried[effect.home_address][0])

    def unguard(self, effect: RemoveDelivery) -> None:
        """As Datapath.unguard."""
        if self._links.pop(effect.home_address, None):
            self._kernel.let_go(effect.home_address)

    def ends(self, home_address: int) -> tuple[TunnelEnd, ...]:
        """As Datapath.ends."""
        return self._slow.ends(home_address)

    def counters(self, home_address: int) -> Counters:
        """As Datapath.counters."""
        return self._slow.counters(home_address) + self._kernel_counted(home_address)

    def _carry(self, home_address: int, remote: int) -> None:
        """Raises OSError, also where there is no way to `remote`."""
        to = remote, self._paths.towards(show(remote))
        if self._carried.get(home_address) == to:
            return
        self._counted[home_address] = self._kernel_counted(home_address)
        self._sort(home_address, by_hand=False)
        self._kernel.put(home_address, *to)
        self._carried[home_address] = to
        if home_address in self._links:
            self._kernel.reverse(home_address, self._links[home_address], remote)

    def _let_go(self, home_address: int) -> None:
        if home_address in self._carried:
            self._counted[home_address] = self._kernel_counted(home_address)
            self._kernel.take(home_address)
            del self._carried[home_address]

    def _sort(self, home_address: int, by_hand: bool) -> None:
        """Whether the TunDatapath is to hear of its packets."""
        if by_hand != (home_address in self._by_hand):
            (self._by_hand.add if by_hand else self._by_hand.remove)(home_address)
            self._slow.hear("ipip", only(self._by_hand, self._home))

    def _kernel_counted(self, home_address: int) -> Counters:
        former = self._counted.get(home_address, Counters())
        return former + self._kernel.counters(home_address) if home_address in self._carried else former


def _plain(effect: InstallTunnel) -> bool:
    """Whether the kernel can carry it: to one end, in IP-in-IP, and nothing but packets of this home address."""
    end = effect.ends[0]
    alone = len(effect.ends) == 1 and not effect.encapsulating_link
    return alone and end.encapsulation == "ipip" and not end.broadcast
