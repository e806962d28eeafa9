"""`entourage trial speed`: from a device behind a node, how far and how fast each hop to the home agent is.

Nothing has to run at the other end. What lies on the way is found by time to live; each hop is then asked by echoes:
a few small ones for the round trip, and trains of large ones, sent at once, whose answers come back as fast as the
narrowest part of the way there and back lets them. The hop at which that gets much worse is the slow one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from host_agents.cli.numbers import whole
from host_agents.cli.show import print_table
from mip4.address import parse, show
from tools.trial.echo import Echo
from tools.trial.errors import TrialFailed
from tools.trial.figures import percentile

_FARTHEST = 8  # hops
_PATIENCE = 1.0  # seconds for an answer
_SMALL, _LARGE = 20, 1400  # echoes for the round trip; octets of data of an echo in a train
_PAUSE = 0.02
_OVERHEAD = 28  # octets of IPv4 and ICMP headers
_MUCH = 0.75  # of the rate up to the hop before: less than that is a hop that slows


@dataclass(slots=True, frozen=True)
class Hop:
    """round_trip, jitter: ms, median and 95th percentile less that. rate: Mbit/s, None if no train came back."""

    name: str
    address: str
    round_trip: float
    jitter: float
    lost: int
    rate: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("home_agent", type=_address, metavar="HOME_AGENT", help="its address")
    parser.add_argument(
        "--train", type=whole(8, 1000), default=48, metavar="N", help="large echoes at once (default 48)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def _address(text: str) -> str:
    try:
        return str(show(parse(text)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error))


def run(arguments: argparse.Namespace) -> int:
    """Raises TrialFailed."""
    try:
        with Echo() as echo:
            hops = measure(echo, arguments.home_agent, arguments.train)
    except OSError as error:
        raise TrialFailed(f"{arguments.home_agent}: {error.strerror or error}")
    if arguments.json:
        print(json.dumps({"hops": [asdict(hop) for hop in hops], **verdict(hops)}, indent=2))
        return 0
    columns = {
        "name": "hop",
        "address": "address",
        "trip": "round trip",
        "more": "of it here",
        "lost": "lost",
        "rate": "carries",
    }
    print_table(columns, _rows(hops))
    for line in verdict(hops).values():
        print(line)
    return 0


def measure(echo: Echo, home_agent: str, train: int) -> list[Hop]:
    """From here to the home agent. Raises TrialFailed if it does not answer, OSError."""
    addresses = _way(echo, home_agent)
    names = _names(len(addresses))
    found: list[Hop] = []
    for name, address in zip(names, addresses, strict=True):
        if address is None:
            continue
        trips = _round_trips(echo, address)
        if trips:  # a router that tells of expired packets may still answer no echoes
            median = percentile(trips, 0.5)
            # A way is as narrow as what it begins with, whatever a queue behind that makes of a train
            rate = min(
                (one for one in (_rate(echo, address, train), *(hop.rate for hop in found)) if one), default=None
            )
            found.append(Hop(name, address, median, percentile(trips, 0.95) - median, _SMALL - len(trips), rate))
    if not found or found[-1].address != home_agent:
        raise TrialFailed(f"{home_agent} does not answer: is there a binding? `entourage node status` knows")
    return found


def _way(echo: Echo, address: str) -> list[str | None]:
    """Who answers for each time to live, up to the address itself."""
    way: list[str | None] = []
    for ttl in range(1, _FARTHEST + 1):
        answers = echo.answers(echo.send(address, ttl=ttl), _PATIENCE)
        way.append(answers[0].source if answers else None)
        if answers and answers[0].reached:
            return way
    raise TrialFailed(f"{address} is not within {_FARTHEST} hops: no way, or no answer")


_NAMES = {
    1: ["device to home agent"],
    2: ["device to node", "node to home agent"],
    3: ["device to node", "node to foreign agent", "foreign agent to home agent"],
}


def _names(count: int) -> list[str]:
    """Whatever lies between an agent and the home agent is inside the tunnel, and no hop."""
    further = ["device to node", *(f"hop {number}" for number in range(2, count)), "last hop to home agent"]
    return _NAMES.get(count, further)


def _round_trips(echo: Echo, address: str) -> list[float]:
    """In ms, of those that came back."""
    trips = []
    for _ in range(_SMALL):
        began = time.time()
        trips += [(one.at - began) * 1000 for one in echo.answers(echo.send(address), _PATIENCE) if one.reached]
        time.sleep(_PAUSE)
    return trips


def _rate(echo: Echo, address: str, train: int) -> float | None:
    """Mbit/s of IP packets, the better of three trains: what disturbs a train makes it slower."""
    rates = []
    for _ in range(3):
        sent = echo.send(address, _LARGE, count=train)
        times = sorted(one.at for one in echo.answers(sent, _PATIENCE) if one.reached)
        if len(times) >= train // 4 and times[-1] > times[0]:
            rates.append((len(times) - 1) * (_LARGE + _OVERHEAD) * 8 / (times[-1] - times[0]) / 1e6)
    return max(rates, default=None)


def verdict(hops: Sequence[Hop]) -> dict[str, str]:
    """What takes the time, and what carries least, a sentence each."""
    whole = hops[-1].round_trip
    trips = [hops[0].round_trip, *(there.round_trip - here.round_trip for here, there in pairwise(hops))]
    longest = max(range(len(hops)), key=lambda at: trips[at])
    share = max(0.0, trips[longest]) / whole if whole else 0
    said = {
        "round_trip": f"round trip: {hops[longest].name} takes {trips[longest]:.1f} of {whole:.1f} ms ({share:.0%})"
    }
    known = [hop for hop in hops if hop.rate is not None]
    drops = [(there.rate / here.rate, there) for here, there in pairwise(known) if here.rate and there.rate]
    worst = min(drops, key=lambda one: one[0], default=None)
    if worst is None or worst[0] > _MUCH:
        said["throughput"] = (
            f"throughput: no hop slows the others; {known[0].name} sets the rate" if known else "throughput: not known"
        )
    else:
        said["throughput"] = f"throughput: {worst[1].name} is the slow hop, {worst[1].rate:.0f} Mbit/s"
    return said


def _rows(hops: Sequence[Hop]) -> list[dict[str, object]]:
    before = [0.0, *(hop.round_trip for hop in hops)]
    return [
        {
            "name": hop.name,
            "address": hop.address,
            "trip": f"{hop.round_trip:.2f} ms (+{hop.jitter:.2f})",
            "more": f"{max(0.0, hop.round_trip - before[number]):.2f} ms",
            "lost": f"{hop.lost} of {_SMALL}",
            "rate": "–" if hop.rate is None else f"{hop.rate:.0f} Mbit/s",
        }
        for number, hop in enumerate(hops)
    ]
