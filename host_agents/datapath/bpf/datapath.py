"""The datapath inside the kernel: tc programs carry what is plain, a TunDatapath on the same device the rest.

A packet that the programs leave alone goes on to the device, or up to the sockets, and there the TunDatapath has it:
several care-of addresses, GRE, minimal encapsulation, broadcasts, fragments of outer packets, what is too long for the
path, what is not believed. Device, programs and their maps outlive the daemon, and every session's lifetime is in the
map: what is registered goes on while nobody is there, and no longer than it may.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from host_agents.datapath.bpf import programs
from host_agents.datapath.bpf.hooks import ENTER, Hooks
from host_agents.datapath.bpf.libbpf import Loaded
from host_agents.datapath.bpf.links import Links
from host_agents.datapath.bpf.sessions import Entry, Sessions
from host_agents.datapath.protocol import HOME, Counters, Rebound
from host_agents.datapath.tun import TunDatapath
from host_agents.datapath.udp_carrier import UdpPort
from host_agents.effects import InstallDelivery, InstallTunnel, RemoveDelivery, RemoveTunnel, TunnelEnd
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.privileges import BPF
from host_agents.runtime.routing import Routing
from mip4.address import show
from mip4.const import PROTO_IPIP, PROTO_UDP

_CARRIED = {"ipip": PROTO_IPIP, "udp": PROTO_UDP}
_NAMES = {protocol: name for name, protocol in _CARRIED.items()}
_LEAST, _MOST = 1 << 10, 1 << 20  # sessions that there is room for: 40 octets of each processor for each of them


class BpfDatapath:
    """A Datapath. local, side, home_prefixes: as of TunDatapath. sessions: how many there may be at most.

    clock: ms, what InstallTunnel.expires is told by.
    """

    name = "bpf"
    capabilities = frozenset((BPF,))  # before Linux 5.19 every bpf(2) wants it

    def __init__(
        self,
        device: str,
        local: int,
        side: str,
        loop: asyncio.AbstractEventLoop,
        home_prefixes: Iterable[tuple[int, int]] = (),
        sessions: int = _LEAST,
        clock: Callable[[], int] = lambda: 0,
    ) -> None:
        self._slow = TunDatapath(device, local, side, loop, home_prefixes, self._known)
        self._device = device
        self._local = local
        self._home = side == HOME
        room = min(max(sessions, _LEAST), _MOST)
        self._room = 1 << (room - 1).bit_length()  # a pool that grows a little needs no other map
        self._clock = clock
        self._loaded: Loaded | None = None
        self._loop = loop
        self._postponed = False  # until restore(): a former run's programs carry on, whose maps we cannot have

    @property
    def dropped(self) -> Counter[str]:
        """As Datapath.dropped."""
        return self._slow.dropped + (self._sessions.dropped() if self._loaded else Counter())

    def open(self) -> None:
        """As Datapath.open. Goes on with the sessions of a former run, until restore() says which there are."""
        if self._loaded is None and (reason := programs.why_not()):
            raise KernelRefused("bpf", reason)
        with contextlib.ExitStack() as undone:
            undone.callback(self._slow.close)
            self._slow.open()
            try:
                self._open(undone)
            except (OSError, KernelRefused) as error:
                raise KernelRefused("bpf", error) from error
            undone.pop_all()

    def close(self) -> None:
        """As Datapath.close. What the programs carry they go on to carry."""
        self._slow.close()
        if self._loaded is not None:
            if not self._postponed:
                self._links.close()
            self._routing.close()
            self._hooks.close()
            self._loaded.close()
            self._loaded = None

    def use(self, port: UdpPort, rebound: Rebound) -> None:
        """As Datapath.use."""
        self._slow.use(port, rebound)
        try:
            self._sessions.describe(self._local, self._index, port.port)
        except OSError as error:
            raise KernelRefused(f"describe {show(self._local)}", error) from error

    def watch(self, lost: Callable[[], None]) -> None:
        """As Datapath.watch."""
        self._slow.watch(lost)

    def install(self, effect: InstallTunnel) -> None:
        """As Datapath.install."""
        self._slow.check(effect)
        entry = self._entry(effect, self._origin())
        if not _alone(effect, entry) or self._slow.holds(effect.home_address):
            self._slow.install(effect)
        try:
            self._sessions.put(effect.home_address, entry)
        except OSError as error:
            raise KernelRefused(f"tunnel {show(effect.home_address)}", error) from error

    def restore(self, effects: Iterable[InstallTunnel]) -> None:
        """As Datapath.restore."""
        self._slow.restore(())
        try:
            self._sessions.restore(self._restored(effects))
            if self._postponed:
                self._attach(begins=True)
        except OSError as error:
            raise KernelRefused("restore tunnels", error) from error

    def _restored(self, effects: Iterable[InstallTunnel]) -> Iterator[tuple[int, Entry]]:
        """Most are at a place where others are too, and share its ends: those are looked at once."""
        origin, ends = self._origin(), None
        for effect in effects:
            if effect.ends is not ends:
                self._slow.check(effect)
                ends, place = effect.ends, self._entry(effect, origin)
            entry = place.until(_since_boot(effect.expires, origin))
            if not _alone(effect, entry):
                self._slow.install(effect)
            yield effect.home_address, entry

    def extend(self, ends: Mapping[int, int | None]) -> None:
        """As Datapath.extend."""
        origin = self._origin()
        try:
            self._sessions.extend({one: _since_boot(expires, origin) for one, expires in ends.items()})
        except OSError as error:
            raise KernelRefused(f"extend {len(ends)} tunnels", error) from error

    def remove(self, effect: RemoveTunnel) -> None:
        """As Datapath.remove."""
        self._slow.remove(effect)
        try:
            self._sessions.take(effect.home_address)
        except OSError as error:
            raise KernelRefused(f"remove tunnel {show(effect.home_address)}", error) from error

    def guard(self, effect: InstallDelivery) -> None:
        """As Datapath.guard."""
        try:
            self._links.guard(effect)
        except OSError as error:
            raise KernelRefused(f"guard {show(effect.home_address)}", error) from error

    def unguard(self, effect: RemoveDelivery) -> None:
        """As Datapath.unguard."""
        try:
            self._links.unguard(effect)
        except OSError as error:
            raise KernelRefused(f"unguard {show(effect.home_address)}", error) from error

    def ends(self, home_address: int) -> tuple[TunnelEnd, ...]:
        """As Datapath.ends."""
        known = None if self._slow.holds(home_address) else self._known(home_address)
        return known.ends if known else self._slow.ends(home_address)

    def counters(self, home_address: int) -> Counters:
        """As Datapath.counters."""
        carried = self._sessions.counters(home_address)
        return self._slow.counters(home_address) + carried if self._slow.holds(home_address) else carried

    def _open(self, undone: contextlib.ExitStack) -> None:
        """Raises OSError and KernelRefused. When the device was lost, programs and maps are still held."""
        side = "home" if self._home else "visited"
        loaded = self._loaded
        if loaded is None:
            self._hooks, self._routing = Hooks(self._device), Routing()
            undone.callback(self._hooks.close)
            undone.callback(self._routing.close)
            former = self._hooks.program(self._routing.index(self._device), ENTER)
            loaded, adopted = programs.load(self._home, self._room, former)
            self._postponed = former is not None and not adopted
            undone.callback(loaded.close)
            self._sessions = Sessions(loaded.maps)
            leave, dropped = f"{side}_leave", self._slow.dropped
            self._links = Links(self._hooks, loaded.programs, leave, self._sessions, self._loop, dropped)
        self._index = self._routing.index(self._device)
        self._sessions.describe(self._local, self._index)
        begins, self._loaded = self._loaded is None, loaded
        if not self._postponed:
            self._attach(begins)

    def _attach(self, begins: bool) -> None:
        """From now on ours carry. begins: whether no interface has them yet."""
        assert self._loaded is not None
        name = "home_enter" if self._home else "visited_enter"
        self._hooks.attach(self._index, ENTER, self._loaded.programs[name], name)
        if begins:
            self._links.open()
        self._postponed = False

    def _entry(self, effect: InstallTunnel, origin: int) -> Entry:
        """What the programs cannot do is left to the slow path: `carried` is 0 then."""
        end = effect.ends[0]
        carried = _CARRIED.get(end.encapsulation, 0) if len(effect.ends) == 1 else 0
        port = end.port if carried == PROTO_UDP else 0
        if carried == PROTO_UDP and not port:
            carried = 0
        return Entry(_since_boot(effect.expires, origin), end.remote, port, carried, end.co_located)

    def _known(self, home_address: int) -> InstallTunnel | None:
        """Of a tunnel that the programs carry, from what the map says of it."""
        entry = self._sessions.find(home_address)
        if entry is None or not entry.carried:
            return None
        end = TunnelEnd(entry.remote, _NAMES[entry.carried], entry.port, co_located=entry.co_located)
        return InstallTunnel(home_address, self._local, (end,))

    def _origin(self) -> int:
        """When the clock that effects tell `expires` by was zero, ns since boot."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self._clock() * 1_000_000


def _since_boot(expires: int | None, origin: int) -> int:
    """Nanoseconds, as an Entry has it."""
    return 0 if expires is None else max(1, origin + expires * 1_000_000)


def _alone(effect: InstallTunnel, entry: Entry) -> bool:
    """Whether the map knows all there is to know; then Python need not remember it, which counts with a million."""
    return entry.carried != 0 and not effect.ends[0].broadcast and not effect.encapsulating_link
