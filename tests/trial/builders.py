"""Events of a trial, as short as a test wants them."""

from typing import Any

T0 = 1_795_884_000_000  # ms since 1970
HOMES = {"pc1": "10.10.0.11", "pc2": "10.10.0.12"}


def event(at: int, kind: str, source: str = "node", **more: Any) -> dict[str, Any]:
    return {"at": T0 + at, "source": source, "event": kind, **more}


def request(at: int, number: int, session: str = "pc1", care_of: str = "203.0.113.2", **more: Any) -> dict[str, Any]:
    common = {"home_address": HOMES[session], "session": session, "care_of_address": care_of, "lifetime": 600}
    return event(at, "request", identification=number, **{**common, **more})


def reply(at: int, number: int, session: str = "pc1", code: int = 0) -> dict[str, Any]:
    return event(at, "reply", identification=number, home_address=HOMES[session], code=code, agent="10.99.1.1")


def packet(at: int, last: int | None, session: str = "pc1") -> dict[str, Any]:
    return event(at, "packet", home_address=HOMES[session], last=None if last is None else T0 + last, uncertainty=3)


def a_handoff(at: int = 0, number: int = 1, care_of: str = "203.0.113.2") -> list[dict[str, Any]]:
    """Link 40 ms, discovery 5, registration 15, delivery 2; the last packet came 1 ms before: 63 ms of silence."""
    return [
        event(at, "link_down"),
        event(at + 40, "link_up", rssi=-61),
        event(at + 44, "agent", agent="10.99.1.1"),
        request(at + 45, number, care_of=care_of),
        reply(at + 60, number),
        packet(at + 62, at - 1),
    ]
