"""What Python and the programs share (mip_maps.h): sessions, their counts, why packets were dropped.

The kernel's map is the only table: it outlives the daemon, and a million sessions are not held twice.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from host_agents.datapath.bpf.libbpf import Map
from host_agents.datapath.protocol import Counters

DROPS = ("expired", "outer source", "link", "link address", "inner TTL", "congestion", "no room")  # enum reason

_AGENT = struct.Struct("=4s2s2xI")  # struct agent
# struct session: what a registration says, where it sits, and of which start it is.
_SAYS, _SITS = struct.Struct("=Q4s2sBB"), struct.Struct("=II6s")
_SLOT_AT, _EXPIRES_END, _SAYS_END, _SITS_END = _SAYS.size, 8, _SAYS.size, _SAYS.size + _SITS.size
_COUNTS = struct.Struct("=5Q")  # struct counts
_SLOT = struct.Struct("=I")
_COUNT = struct.Struct("=Q")
_AT_ONCE = 1 << 16


@dataclass(slots=True)
class Entry:
    """expires: ns since boot, 0 for never. carried: IP protocol of the outer packets, 0: by the slow path."""

    expires: int = 0
    remote: int = 0
    port: int = 0
    carried: int = 0
    co_located: bool = False

    def until(self, expires: int) -> Entry:
        """The same with another end."""
        return Entry(expires, self.remote, self.port, self.carried, self.co_located)


class Sessions:
    """One agent's. home addresses: int. Methods raise OSError; E2BIG, ENOSPC: there is no room for one more."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        """Goes on with what is in the maps."""
        self._agent, self._sessions = maps["mip_agent"], maps["mip_sessions"]
        self._counts, self._drops = maps["mip_counts"], maps["mip_drops"]
        taken, generations = bytearray(self._sessions.capacity), set()
        for _, value in self._sessions.items():
            taken[_SLOT.unpack_from(value, _SLOT_AT)[0]] = 1
            generations.add(value[_SITS_END:])
        self._next = taken.rfind(1) + 1
        self._free = [slot for slot in range(self._next) if not taken[slot]]
        unlike = (number.to_bytes(2, "little") for number in range(len(generations) + 1))
        self._generation = next(one for one in unlike if one not in generations)

    def describe(self, local: int, device: int, port: int | None = None) -> None:
        """The agent: its address, the index of its device, its UDP port; None: as it was."""
        former = self._agent.get(bytes(4)) if port is None else None
        octets = port.to_bytes(2, "big") if port is not None else _AGENT.unpack(former[0])[1] if former else bytes(2)
        self._agent.put(bytes(4), _AGENT.pack(_key(local), octets, device))

    def find(self, home_address: int) -> Entry | None:
        former = self._sessions.get(_key(home_address))
        if former is None:
            return None
        expires, remote, port, carried, co_located = _SAYS.unpack_from(former[0])
        return Entry(expires, int.from_bytes(remote, "big"), int.from_bytes(port, "big"), carried, bool(co_located))

    def put(self, home_address: int, entry: Entry) -> None:
        """Insert or replace; counts and link go on."""
        key = _key(home_address)
        self._sessions.put(key, self._merged(key, entry))

    def extend(self, ends: Mapping[int, int]) -> None:
        """By home address. Of a session that is not there nothing is known."""
        packed = {}
        for home_address, expires in ends.items():
            key = _key(home_address)
            former = self._sessions.get(key)
            if former is not None:
                packed[key] = expires.to_bytes(_EXPIRES_END, sys.byteorder) + former[0][_EXPIRES_END:]
        self._sessions.put_all(packed)

    def sit(self, home_address: int, link: int, link_address: bytes) -> None:
        """On the link of that index, with that address there; 0: on none. As extend."""
        key = _key(home_address)
        former = self._sessions.get(key)
        if former is not None:
            says, slot = former[0][:_SAYS_END], _slot_of(former[0])
            self._sessions.put(key, says + _SITS.pack(slot, link, link_address) + self._generation)

    def restore(self, entries: Iterable[tuple[int, Entry]]) -> None:
        """These, and no others; many with one system call. Counts and links of those that were there go on."""
        some_before = self._next > 0
        for part in _parts(entries):
            packed = {}
            for home_address, entry in part:
                key = _key(home_address)
                packed[key] = self._merged(key, entry) if some_before else self._begun(entry)
            self._sessions.put_all(packed)
        if some_before:
            over = [key for key, value in self._sessions.items() if value[_SITS_END:] != self._generation]
            for key in over:
                self.take(int.from_bytes(key, "big"))

    def take(self, home_address: int) -> None:
        """Remove; what is not there is no error."""
        key = _key(home_address)
        former = self._sessions.get(key)
        if former is not None:
            slot = _slot_of(former[0])
            self._sessions.take(key)
            self._counts.put(_SLOT.pack(slot), bytes(_COUNTS.size))
            self._free.append(slot)

    def counters(self, home_address: int) -> Counters:
        """Zeros for one that is not there."""
        former = self._sessions.get(_key(home_address))
        each = self._counts.get(_SLOT.pack(_slot_of(former[0]))) if former is not None else None
        if each is None:
            return Counters()
        numbers = list(zip(*map(_COUNTS.unpack, each), strict=True))
        packets_in, packets_out, bytes_in, bytes_out = (sum(one) for one in numbers[:4])
        heard = max(numbers[4]) // 1_000_000 or None
        return Counters(packets_in, packets_out, bytes_in, bytes_out, heard)

    def dropped(self) -> Counter[str]:
        """Reason -> packets."""
        found: Counter[str] = Counter()
        for number, reason in enumerate(DROPS):
            each = self._drops.get(_SLOT.pack(number)) or []
            found[reason] = sum(_COUNT.unpack(one)[0] for one in each)
        return +found

    def _merged(self, key: bytes, entry: Entry) -> bytes:
        former = self._sessions.get(key)
        if former is None:
            return self._begun(entry)
        return _says(entry) + former[0][_SAYS_END:_SITS_END] + self._generation

    def _begun(self, entry: Entry) -> bytes:
        return _says(entry) + _SITS.pack(self._slot(), 0, bytes(6)) + self._generation

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._next += 1
        return self._next - 1


def _key(home_address: int) -> bytes:
    return home_address.to_bytes(4, "big")


def _says(entry: Entry) -> bytes:
    remote, port = entry.remote.to_bytes(4, "big"), entry.port.to_bytes(2, "big")
    return _SAYS.pack(entry.expires, remote, port, entry.carried, entry.co_located)


def _slot_of(value: bytes) -> int:
    return int(_SLOT.unpack_from(value, _SLOT_AT)[0])


def _parts(entries: Iterable[tuple[int, Entry]]) -> Iterable[list[tuple[int, Entry]]]:
    rest = iter(entries)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
