"""One session as an accounting server knows it, and the attributes that tell of it (RFC 2866, RFC 2869)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from host_agents.datapath.protocol import Counters
from host_agents.effects import MobilityBinding
from host_agents.runtime.radius import NAS_IDENTIFIER
from mip4.address import show
from mip4.identification import NTP_UNIX

START, STOP, INTERIM = 1, 2, 3  # Acct-Status-Type
NAS_REBOOT = 11  # Acct-Terminate-Cause
_NAS_REQUEST = 10
_VIRTUAL = 5  # NAS-Port-Type
# Why a binding ended, as RFC 2866 §5.10 has it. Another address is another account.
_CAUSES = {"deregistered": 1, "at home": 1, "lifetime over": 5, "released": 6, "refused": 9}
_WORD = 1 << 32


class Account(msgspec.Struct, omit_defaults=True):
    """began, ended: ms since 1900 by the home agent's clock; ended 0: it goes on. foreign: whether through an agent.

    carried: packets in and out, octets in and out, of all runs of the daemon; seen: what the datapath said last.
    """

    account_id: str
    nai: str
    sub_nai: str
    home_address: int
    care_of_address: int
    foreign: bool
    began: int
    ended: int = 0
    cause: int = 0
    carried: tuple[int, int, int, int] = (0, 0, 0, 0)
    seen: tuple[int, int, int, int] = (0, 0, 0, 0)

    def is_of(self, binding: MobilityBinding) -> bool:
        return (self.nai, self.sub_nai) == (binding.nai, binding.sub_nai)

    def count(self, counters: Counters) -> None:
        """A datapath that began anew counts from 0."""
        now = (counters.packets_in, counters.packets_out, counters.bytes_in, counters.bytes_out)
        before = self.seen if all(one >= other for one, other in zip(now, self.seen, strict=True)) else (0, 0, 0, 0)
        self.carried = _sum(self.carried, now, before)
        self.seen = now

    def end(self, clock: int, reason: str) -> None:
        self.ended, self.cause = clock, _CAUSES.get(reason, _NAS_REQUEST)

    def record(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def of_record(cls, record: bytes) -> Account:
        """Raises msgspec.DecodeError."""
        return msgspec.json.decode(record, type=cls)


def _sum(carried: tuple[int, ...], now: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, int, int, int]:
    one, two, three, four = (a + b - c for a, b, c in zip(carried, now, before, strict=True))
    return one, two, three, four


@dataclass(slots=True)
class Report:
    """What is to be said of an account: how it stood then. at: clock ms. unheard: how often it alone got no answer."""

    account: Account
    status: int
    at: int
    care_of_address: int
    carried: tuple[int, int, int, int]
    unheard: int = 0

    def attributes(self, home_agent: int, clock: int) -> Mapping[str, Any]:
        """Input is what came from the device, as a NAS has it; our counters' "in" is towards the device."""
        account = self.account
        packets_in, packets_out, octets_in, octets_out = self.carried
        found: dict[str, Any] = {
            "Acct-Status-Type": self.status,
            "Acct-Session-Id": account.account_id,
            "User-Name": account.nai,
            "NAS-Identifier": NAS_IDENTIFIER,
            "NAS-IP-Address": show(home_agent),
            "NAS-Port-Type": _VIRTUAL,
            "Framed-IP-Address": show(account.home_address),
            "Tunnel-Client-Endpoint": show(self.care_of_address),
            "Tunnel-Server-Endpoint": show(home_agent),
            "3GPP2-Home-Agent-IP-Address": show(home_agent),
            "Event-Timestamp": max(0, self.at // 1000 - int(NTP_UNIX)) % _WORD,
            "Acct-Delay-Time": max(0, clock - self.at) // 1000 % _WORD,
        }
        if account.sub_nai:
            found["Calling-Station-Id"] = account.sub_nai
        if account.foreign:
            found["3GPP2-Foreign-Agent-Address"] = show(self.care_of_address)
        if self.status != START:
            found |= {
                "Acct-Session-Time": max(0, self.at - account.began) // 1000 % _WORD,
                "Acct-Input-Packets": packets_out % _WORD,
                "Acct-Output-Packets": packets_in % _WORD,
                "Acct-Input-Octets": octets_out % _WORD,
                "Acct-Output-Octets": octets_in % _WORD,
                "Acct-Input-Gigawords": octets_out // _WORD % _WORD,
                "Acct-Output-Gigawords": octets_in // _WORD % _WORD,
            }
        if self.status == STOP:
            found["Acct-Terminate-Cause"] = account.cause
        return found
