"""A mobile node without a mind, for tests of the runtime: it records what it is told, and does what a message says.

The payload of a registration message is the Python text of the effects it answers with.
"""

import time

from mip4.address import parse
from mip4.effects import (
    AnswerDhcp,
    Attach,
    Detach,
    Dropped,
    LeaveHomeLink,
    Remember,
    Said,
    Send,
    SendTunnelled,
    Solicit,
    UseAgent,
    UseHomeLink,
    UseTunnel,
)
from mip4.errors import Malformed

WORDS = (parse, AnswerDhcp, Attach, Detach, Dropped, LeaveHomeLink, Malformed, Remember, Said, Send, Solicit, UseAgent,
         SendTunnelled, UseHomeLink, UseTunnel)  # fmt: skip


class MobileNode:
    def __init__(self, config: dict, ntp_ms: int, seed: bytes, remembered: list):
        self.made_with = {"nai": config["nai"], "ntp_ms": ntp_ms, "seed": len(seed), "remembered": remembered}
        self.told = []  # [wall clock in ms, what, ...]
        self.at = None

    def note(self, *what) -> None:
        self.told.append([time.time_ns() / 1e6] + list(what))  # noqa: RUF005 - MicroPython has no stars in lists

    def start(self, now: int) -> list:
        self.note("start")
        self.at = now + 50
        return []

    def address(self, address: int, now: int) -> list:
        self.note("address", address)
        return []

    def no_tunnel(self, reason: str, now: int) -> list:
        self.note("no_tunnel", reason)
        return []

    def tunnelled(self, packet: bytes, now: int) -> list:
        self.note("tunnelled", packet.hex())
        return []

    def link_up(self, now: int) -> list:
        self.note("link_up")
        return [Solicit()]

    def link_down(self, now: int) -> list:
        self.note("link_down")
        return []

    def downlink_up(self, name: str, now: int) -> list:
        self.note("downlink_up", name)
        return []

    def downlink_down(self, name: str, now: int) -> list:
        self.note("downlink_down", name)
        return []

    def heard(self, packet: bytes, link_address: bytes, now: int) -> list:
        self.note("heard", packet.hex(), link_address.hex())
        return []

    def receive(self, payload: bytes, source: int, now: int) -> list:
        self.note("receive", source)
        return eval(payload.decode())

    def dhcp(self, downlink: str, payload: bytes, now: int) -> list:
        self.note("dhcp", downlink, payload.hex())
        return []

    def wake(self, now: int) -> list:
        self.note("wake", now - self.at)
        self.at = None
        return []

    def deadline(self):
        return self.at

    def status(self, now: int) -> dict:
        return {"made_with": self.made_with, "told": self.told}
