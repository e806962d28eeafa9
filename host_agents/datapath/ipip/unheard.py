"""What a raw socket must not be woken for: IP-in-IP packets of the home addresses that the kernel carries itself."""

from __future__ import annotations

from collections.abc import Collection

from host_agents.runtime.socket_filter import ACCEPT, IF_EQUAL, LOAD_HEADER, LOAD_WORD_BEHIND, REJECT, Instruction

_SOURCE, _DESTINATION = 12, 16  # in an IPv4 header
_LONGEST = 4096  # instructions of a program

HEAR_ALL = (ACCEPT,)


def only(home_addresses: Collection[int], home: bool) -> tuple[Instruction, ...]:
    """A filter that accepts packets of these alone, by the inner header. home: as of TunDatapath's side.

    With more of them than a program has room for it accepts everything, and the datapath sorts them out.
    """
    if 2 * len(home_addresses) + 3 > _LONGEST:
        return HEAR_ALL
    program = [(LOAD_HEADER, 0, 0, 0), (LOAD_WORD_BEHIND, 0, 0, _SOURCE if home else _DESTINATION)]
    for home_address in home_addresses:
        program += [(IF_EQUAL, 0, 1, home_address), ACCEPT]
    return (*program, REJECT)
