"""The sessions of many mobile nodes: the load that registrants.c makes of them, the configuration that knows them."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.bench.bench import BenchFailed
from tools.bench.native import compiled
from tools.bench.room import AGENT, CARE_OF, Room

PORT = 434
SPI = 256
FIRST_HOME = "10.0.1.0"

_PATIENCE = 120.0  # seconds for which a load may go on without saying how it was
_HOME_AGENT = f"""\
[home_agent]
address = "{AGENT}"
port = {PORT}
datapath = "%s"

[[network]]
prefix = "10.0.0.0/8"
pool = ["{FIRST_HOME}-10.255.255.250"]
gateway = "10.0.0.1"
"""
_FOREIGN_AGENT = f"""
[[foreign_agent]]
address = "{CARE_OF}"
spi = 512
key = "text:%s"
"""
_SUBSCRIBER = f"""
[[subscriber]]
nai = "n%d@example.net"
spi = {SPI}
key = "hex:%s"
sessions = %d
"""


def key(nai: int) -> bytes:
    """Of a node."""
    return nai.to_bytes(16, "big")


@dataclass(slots=True, frozen=True)
class Population:
    """nais nodes with `each` sessions. registrants.c numbers them as session() does.

    secret: the key that their foreign agent shares with the home agent; "": none. With one it signs what it relays, and
    says that it can revoke (RFC 3543), as ours do.
    """

    nais: int
    each: int
    secret: str = ""

    @property
    def sessions(self) -> int:
        return self.nais * self.each

    def session(self, number: int) -> tuple[str, str]:
        """Its NAI and its sub-NAI."""
        nai, sub_nai = divmod(number, self.each)
        return f"n{nai}@example.net", f"s{sub_nai}"

    def configuration(self, datapath: str) -> str:
        """ha.toml."""
        foreign_agent = _FOREIGN_AGENT % self.secret if self.secret else ""
        subscribers = (_SUBSCRIBER % (nai, key(nai).hex(), self.each) for nai in range(self.nais))
        return _HOME_AGENT % datapath + foreign_agent + "".join(subscribers)


@dataclass(slots=True, frozen=True)
class Answers:
    """What one phase of a load met. rate: a second. p50, p99, longest: µs. busy: the share of its core it needed.

    code: of the last denial. bad: replies that were not authentic.
    """

    rate: float
    p50: int
    p99: int
    longest: int
    busy: float
    answers: int
    resent: int
    denied: int
    code: int
    bad: int

    def check(self, what: str) -> None:
        """Raises BenchFailed unless every answer was a yes."""
        if self.denied or self.bad or not self.answers:
            raise BenchFailed(
                f"{what}: of {self.answers} answers {self.denied} denied (code {self.code}), {self.bad} not authentic"
            )


class Load:
    """The first `sessions` of a population, asking in `phases` (see registrants.c).

    outstanding: requests that may wait for replies. rate: a second; 0: as fast as replies come. known: whether
    the home agent has their bindings already. Raises BenchFailed.
    """

    def __init__(
        self,
        room: Room,
        population: Population,
        *phases: str,
        sessions: int,
        outstanding: int = 64,
        rate: int = 0,
        known: bool = False,
        port: int = PORT,
    ) -> None:
        program = room.folder / "registrants"
        if not program.exists():
            compiled(Path(__file__).with_suffix(".c"), room.folder)
        home = FIRST_HOME if known else "0.0.0.0"
        numbers = (population.each, sessions, outstanding, rate)
        argv: list[str | Path] = [program, AGENT, str(port), CARE_OF, *map(str, numbers), home]
        self._room = room
        self._process = room.begin("registrants", [*argv, population.secret, *phases])

    def stop(self) -> None:
        """End the phase that it is in; what waits is still waited for."""
        self._process.send_signal(signal.SIGTERM)

    def answers(self) -> list[Answers]:
        """Wait for its end; what each phase met. Raises BenchFailed."""
        try:
            said, _ = self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise BenchFailed("the home agent does not answer any more") from None
        if self._process.returncode:
            raise BenchFailed(self._room.last_words("registrants"))
        return [Answers(**json.loads(line)) for line in said.splitlines()]
