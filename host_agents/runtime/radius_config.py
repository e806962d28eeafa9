"""What ha.toml says of RADIUS servers: [radius]."""

from __future__ import annotations

from dataclasses import dataclass

from host_agents.runtime.config_reader import Reader, Section
from mip4.address import parse


class RadiusSection(Section):
    """[radius], as the file has it."""

    secret: str
    server: str = ""
    accounting: str = ""
    interim: int = 600
    disconnect: str = ""
    timeout: float = 2.0
    tries: int = 3
    cache: int = 3600
    sessions: int = 8


@dataclass(slots=True, frozen=True)
class Radius:
    """What a RADIUS server has to do with us; addresses and ports, None: nothing. timeout, cache, interim: seconds.

    server: where subscribers are asked for who are not in the file (RFC 2865). sessions: of each such subscriber.
    accounting: who is told of sessions (RFC 2866), every `interim` again, 0: only of beginning, moves and end.
    disconnect: where of ours they may ask us to end sessions (RFC 5176).
    """

    server: tuple[str, int] | None
    accounting: tuple[str, int] | None
    interim: int
    disconnect: tuple[str, int] | None
    secret: bytes
    timeout: float
    tries: int
    cache: int
    sessions: int


def read_radius(reader: Reader, section: RadiusSection) -> Radius:
    """A port that is not named is that of RFC 2865, 2866 or 5176."""
    server = _place(reader, "radius.server", section.server, 1812)
    accounting = _place(reader, "radius.accounting", section.accounting, 1813)
    disconnect = _place(reader, "radius.disconnect", section.disconnect, 3799)
    reader.need("radius", bool(section.server or section.accounting), "neither server nor accounting is named")
    reader.need("radius.timeout", 0.1 <= section.timeout <= 30, "outside 0.1..30 seconds")
    reader.need("radius.tries", 0 < section.tries <= 10, "outside 1..10")
    reader.need("radius.cache", 60 <= section.cache <= 604_800, "outside 60..604800 seconds")
    reader.need("radius.sessions", 0 < section.sessions <= 4096, "outside 1..4096")
    interim = section.interim
    reader.need("radius.interim", interim == 0 or 60 <= interim <= 86_400, "neither 0 nor 60..86400 seconds")
    secret = reader.secret("radius.secret", section.secret)
    return Radius(
        server, accounting, interim, disconnect, secret, section.timeout, section.tries, section.cache, section.sessions
    )


def _place(reader: Reader, key: str, text: str, otherwise: int) -> tuple[str, int] | None:
    """ADDRESS or ADDRESS:PORT; None for ""."""
    if not text:
        return None
    host, _, port = text.partition(":")
    reader.value(key, 0, parse, host)
    reader.need(key, not port or (port.isdecimal() and 0 < int(port) < 65536), f"{port} is no port")
    return host, int(port) if port.isdecimal() else otherwise
