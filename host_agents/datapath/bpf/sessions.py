"""What Python and the programs share (mip_maps.h): sessions, their counts, why packets were dropped.

The kernel's map is the only table: it outlives the daemon, and a million sessions are not held twice.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from host_agents.datapath.bpf.libbpf import Map
from host_agents.datapath.protocol import Counters

DROPS = ("expired", "outer source", "link", "link address", "inner TTL", "congestion", "no room")  # enum reason

_AGENT = struct.Struct("=4s2s2xI")  # struct agent
_SESSION = struct.Struct("=Q4s2sBxII6s2x")  # struct session
_COUNTS = struct.Struct("=5Q")  # struct counts
_SLOT = struct.Struct("=I")
_COUNT = struct.Struct("=Q")


@dataclass(slots=True, frozen=True)
class Entry:
    """expires: ns since boot, 0 for never. carried: IP protocol of the outer packets, 0: by the slow path.

    link: index of the visited link, 0 for none; link_address: 6 octets, there.
    """

    expires: int = 0
    remote: int = 0
    port: int = 0
    carried: int = 0
    link: int = 0
    link_address: bytes = bytes(6)


class Sessions:
    """One agent's. home addresses: int. Methods raise OSError; E2BIG, ENOSPC: there is no room for one more."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        """Goes on with what is in the maps."""
        self._agent, self._sessions = maps["mip_agent"], maps["mip_sessions"]
        self._counts, self._drops = maps["mip_counts"], maps["mip_drops"]
        taken = {_unpack(value)[1] for _, value in self._sessions.items()}
        self._free = [slot for slot in range(max(taken, default=-1)) if slot not in taken]
        self._next = max(taken, default=-1) + 1

    def describe(self, local: int, device: int, port: int | None = None) -> None:
        """The agent: its address, the index of its device, its UDP port; None: as it was."""
        former = self._agent.get(bytes(4)) if port is None else None
        octets = port.to_bytes(2, "big") if port is not None else _AGENT.unpack(former[0])[1] if former else bytes(2)
        self._agent.put(bytes(4), _AGENT.pack(_key(local), octets, device))

    def put(self, home_address: int, entry: Entry) -> None:
        """Insert or replace; counts and link go on."""
        former, slot = self._find(home_address)
        if former is not None:
            entry = replace(entry, link=former.link, link_address=former.link_address)
        self._sessions.put(_key(home_address), _pack(entry, self._slot() if former is None else slot))

    def extend(self, home_address: int, expires: int) -> None:
        """Of a session that is not there nothing is known."""
        former, slot = self._find(home_address)
        if former is not None:
            self._sessions.put(_key(home_address), _pack(replace(former, expires=expires), slot))

    def sit(self, home_address: int, link: int, link_address: bytes) -> None:
        """On that link from now on; link 0: on none. As extend."""
        former, slot = self._find(home_address)
        if former is not None:
            entry = replace(former, link=link, link_address=link_address)
            self._sessions.put(_key(home_address), _pack(entry, slot))

    def restore(self, entries: Mapping[int, Entry]) -> None:
        """These, and no others. Counts and links of those that were there go on."""
        present = {key: _unpack(value) for key, value in self._sessions.items()}
        wanted = {}
        for home_address, entry in entries.items():
            key = _key(home_address)
            former, slot = present.pop(key, (None, -1))
            if former is not None:
                entry = replace(entry, link=former.link, link_address=former.link_address)
            wanted[key] = _pack(entry, self._slot() if former is None else slot)
        for key in present:
            self.take(int.from_bytes(key, "big"))
        self._sessions.put_all(wanted)

    def take(self, home_address: int) -> None:
        """Remove; what is not there is no error."""
        former, slot = self._find(home_address)
        if former is not None:
            self._sessions.take(_key(home_address))
            self._counts.put(_SLOT.pack(slot), bytes(_COUNTS.size))
            self._free.append(slot)

    def counters(self, home_address: int) -> Counters:
        """Zeros for one that is not there."""
        former, slot = self._find(home_address)
        each = self._counts.get(_SLOT.pack(slot)) if former else None
        numbers = list(zip(*map(_COUNTS.unpack, each or []), strict=True)) or [(0,)] * 5
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

    def _find(self, home_address: int) -> tuple[Entry | None, int]:
        found = self._sessions.get(_key(home_address))
        return _unpack(found[0]) if found else (None, -1)

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._next += 1
        return self._next - 1


def _key(home_address: int) -> bytes:
    return home_address.to_bytes(4, "big")


def _pack(entry: Entry, slot: int) -> bytes:
    remote, port = _key(entry.remote), entry.port.to_bytes(2, "big")
    return _SESSION.pack(entry.expires, remote, port, entry.carried, slot, entry.link, entry.link_address)


def _unpack(octets: bytes) -> tuple[Entry, int]:
    expires, remote, port, carried, slot, link, link_address = _SESSION.unpack(octets)
    places = int.from_bytes(remote, "big"), int.from_bytes(port, "big")
    return Entry(expires, *places, carried, link, link_address), slot
