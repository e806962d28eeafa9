"""A synthetic drive in the lab: a node roams over three networks with a GPS receiver on board, and the lab looks on.

What the lab knows by itself is the truth that a report is held against: when it took the carrier away, what it
disturbed, where the receiver was, and each device's own packets, captured at the device by dumpcap.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle, islice, pairwise
from pathlib import Path

from tools.lab import capture
from tools.lab import plan as places
from tools.lab.namespace import socket_in
from tools.lab.plan import NodePlan, WorldPlan
from tools.lab.world import World

DEVICES = ("pc1", "pc2")
_ROUTE = ("fa2", "nat", "fa1", "fa2", "fa1", "nat")
_PORT = 40000
_INTERVAL = 0.002  # seconds between packets for a device
_UNDERWAY = 0.1  # seconds that a packet may still be underway when the carrier goes
_FIX = 0.25  # seconds between what the receiver says
_SILENCE = 1.3  # seconds for which the home agent is stopped, or the radio finds nothing
_CENTRE, _RADIUS = (47.3769, 8.5417), (0.0031, 0.0046)  # degrees
_PACE = 0.055  # of the whole way, radians a second: some 60 km/h


@dataclass(slots=True, frozen=True)
class Roam:
    """down: when the lab took the carrier away, seconds. cause: how the report's must begin."""

    to: str
    down: float
    cause: str


@dataclass(slots=True)
class Truth:
    """arrivals: home address -> when its device got a packet of the stream, seconds."""

    roams: list[Roam] = field(default_factory=list)
    arrivals: dict[str, list[float]] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)  # home address -> sub-NAI
    began: float = 0.0
    ended: float = 0.0

    def gap(self, number: int, home_address: str) -> float:
        """The silence at that device that began when the lab took the carrier away, ms.

        Others, of a busy machine that stops everything for a while, are no handoffs.
        """
        down = self.roams[number].down
        silences = [
            later - earlier
            for earlier, later in pairwise(self.arrivals[home_address])
            if earlier <= down + _UNDERWAY and later >= down
        ]
        return max(silences, default=math.inf) * 1000

    def place(self, at: float) -> tuple[float, float]:
        """Where the receiver was: latitude, longitude."""
        turn = (at - self.began) * _PACE
        wobble = 1 + 0.28 * math.sin(3 * turn + 0.6)
        return _CENTRE[0] + _RADIUS[0] * wobble * math.sin(turn), _CENTRE[1] + _RADIUS[1] * wobble * math.cos(turn)


def plan(gps: str) -> WorldPlan:
    """gps: path of the terminal on which a receiver speaks."""
    recorder = {"path": "flight", "sample": 1, "write": 2, "gps": gps, "pages_per_hour": 20000}
    node = NodePlan("mn", "kleung@example.net", DEVICES, settings={"recorder": recorder}, address="dhcp")
    return WorldPlan((node,))


@contextlib.contextmanager
def receiver() -> Iterator[tuple[str, int]]:
    """A pseudo-terminal for it: the path where the node listens, and where we speak."""
    speaking, listening = os.openpty()
    tty.setraw(listening)
    try:
        yield os.ttyname(listening), speaking
    finally:
        os.close(speaking)
        os.close(listening)


def drive(world: World, speaking: int, roams: int, stay: float, say: Callable[[str], None]) -> Truth:
    """The world is up; the recorder runs. stay: seconds at each network. Raises LabFailed."""
    truth = Truth(began=time.time())
    addresses = {world.await_address(device): device for device in DEVICES}
    truth.sessions = {address: places.device_name(device) for address, device in addresses.items()}
    pcaps = {address: world.directory / f"log/{device}.pcap" for address, device in addresses.items()}
    for address, device in addresses.items():
        world.crew.start_capture(device, pcaps[address])
    with _repeating(lambda: _speak(speaking, truth), _FIX), _stream(world, list(addresses)):
        time.sleep(1.0)
        for number, to in enumerate(islice(cycle(_ROUTE), roams)):
            say(f"{number + 1} of {roams}: to {to}")
            truth.roams.append(_roam(world, number, to))
            time.sleep(stay)
    truth.ended = time.time()
    for address, device in addresses.items():
        world.crew.stop_capture(device, pcaps[address])
        truth.arrivals[address] = _arrivals(pcaps[address])
    return truth


def _roam(world: World, number: int, to: str) -> Roam:
    """Every seventh time the radio finds nothing for a while; every seventh time the home agent does not answer."""
    if number % 7 == 2:
        down = time.time()
        world.leave("mn")
        time.sleep(_SILENCE)
        world.roam("mn", to)
        return Roam(to, down, "discovery" if to == "nat" else "link")
    if number % 7 == 3 and to != "nat":
        agent = world.crew.process("ha")
        assert agent is not None
        agent.signal(signal.SIGSTOP)
        try:
            flap = world.roam("mn", to)
            time.sleep(_SILENCE)
        finally:
            agent.signal(signal.SIGCONT)
        return Roam(to, flap.down, "registration lost")
    flap = world.roam("mn", to)
    return Roam(to, flap.down, "discovery" if to == "nat" else "")


@contextlib.contextmanager
def _repeating(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Again and again, in a thread, at moments that do not drift."""
    over = threading.Event()

    def work() -> None:
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            action()
            due = max(due + seconds, time.monotonic() - 5 * seconds)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def _stream(world: World, addresses: list[str]) -> Iterator[None]:
    """A packet from cn to each device, again and again."""
    pids = {one["name"]: one["namespace_pid"] for one in world.status()["nodes"]}
    sending = socket_in(pids["cn"], socket.AF_INET, socket.SOCK_DGRAM)

    def send() -> None:
        for address in addresses:
            with contextlib.suppress(OSError):  # ICMP of a moment without a way
                sending.sendto(b"on the road", (address, _PORT))

    with sending, _repeating(send, _INTERVAL):
        yield


def _speak(speaking: int, truth: Truth) -> None:
    now = time.time()
    os.write(speaking, rmc(now, *truth.place(now)))


def rmc(at: float, latitude: float, longitude: float) -> bytes:
    """As a receiver says it, NMEA 0183."""
    when = datetime.fromtimestamp(round(at, 2), UTC)
    sides = ("N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W")
    place = [
        f"{int(abs(x)):0{n}d}{abs(x) % 1 * 60:08.5f},{side}"
        for x, n, side in zip((latitude, longitude), (2, 3), sides, strict=True)
    ]
    text = f"GNRMC,{when:%H%M%S}.{when.microsecond // 10000:02d},A,{place[0]},{place[1]},32.4,0.0,{when:%d%m%y},,,A"
    total = 0
    for octet in text.encode():
        total ^= octet
    return f"${text}*{total:02X}\r\n".encode()


def _arrivals(pcap: Path) -> list[float]:
    """Of the stream's packets."""
    port = _PORT.to_bytes(2, "big")
    return [at for at, frame in capture.frames(pcap) if frame[23:24] == b"\x11" and frame[36:38] == port]
