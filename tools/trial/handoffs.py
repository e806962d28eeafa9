"""Every handoff of a trial: its parts, what each session noticed, and the cause of a long one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mip4.const import ACCEPTED, ACCEPTED_NO_SIMULTANEOUS, code_name
from tools.trial.trial_file import Event

_GOOD = (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS)
_UNREACHABLE = (80, 81, 82, 88)  # what a foreign agent says of the home agent (RFC 5944 §3.4)
_FRESH = 1000  # ms before the link went in which a packet came, for silence to be measured from it
_LATE = 60_000  # ms after which a packet ends no handoff any more
_LONG = 1000  # ms that no part takes by itself, if all goes well
PARTS = ("link", "discovery", "registration", "delivery")
Interval = tuple[int, int]


@dataclass(slots=True)
class Noticed:
    """One session in one handoff. Times: ms; None for what did not happen. last: of the last packet before.

    within: ms that `last` and `first` together may be off, as the recorder says of itself.
    """

    home_address: str
    session: str = ""
    asked: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    accepted: int | None = None
    last: int | None = None
    first: int | None = None
    within: int = 0

    def silence(self, began: int) -> int | None:
        """ms between its packets, or from the loss of the link if there was no traffic just before; None without."""
        if self.first is None:
            return None
        fresh = self.last is not None and self.last > began - _FRESH
        return self.first - (self.last if fresh and self.last is not None else began)


@dataclass(slots=True)
class Handoff:
    """began: the link was lost or, without that, another agent asked. ended: when the next one began, or the trial."""

    began: int
    link_down: int | None = None
    link_up: int | None = None
    heard: int | None = None
    agent: str = ""
    care_of_address: str = ""
    rssi: int | None = None
    place: tuple[float, float] | None = None
    ended: int | None = None
    sessions: dict[str, Noticed] = field(default_factory=dict)
    name: str = ""

    @property
    def network(self) -> str:
        """Its name, its care-of address, or what it can be told by without one."""
        return self.name or self.care_of_address or self.agent or "nowhere"

    @property
    def first_asked(self) -> int | None:
        return min((one.asked[0] for one in self.sessions.values() if one.asked), default=None)

    @property
    def last_accepted(self) -> int | None:
        """When the last session was back; None unless all are."""
        times = [one.accepted for one in self.sessions.values() if one.asked]
        return None if not times or None in times else max(time for time in times if time is not None)

    @property
    def interruption(self) -> int | None:
        """ms: the longest silence of a session with traffic; without traffic until all are registered again."""
        silences = [one.silence(self.began) for one in self.sessions.values()]
        known = [silence for silence in silences if silence is not None]
        if known:
            return max(known)
        return None if self.last_accepted is None else self.last_accepted - self.began

    @property
    def has_traffic(self) -> bool:
        return any(one.first is not None for one in self.sessions.values())

    def parts(self) -> dict[str, Interval]:
        """Of PARTS those that took place, as (from, to)."""
        found: dict[str, Interval] = {}
        at = self.began
        first_packet = max((one.first for one in self.sessions.values() if one.first is not None), default=None)
        moments = (self.link_up, self.first_asked, self.last_accepted, first_packet)
        for part, moment in zip(PARTS, moments, strict=True):
            if moment is not None and moment > at:
                found[part] = (at, moment)
                at = moment
        return found

    def cause(self) -> str:
        """Why it took as long as it did, in a few words."""
        return next(text for rule in _RULES if (text := rule(self)))


def _no_link(handoff: Handoff) -> str:
    return "no link" if handoff.link_down is not None and handoff.link_up is None else ""


def _denied(handoff: Handoff) -> str:
    codes = [code for one in handoff.sessions.values() for code in one.codes if code not in _GOOD]
    if not codes:
        return ""
    what = "home agent unreachable" if codes[0] in _UNREACHABLE else "denied"
    return f"{what}: {code_name(codes[0])}"


def _unanswered(handoff: Handoff) -> str:
    asked = max((len(one.asked) for one in handoff.sessions.values()), default=0)
    if asked and not any(one.codes for one in handoff.sessions.values()):
        return f"no answer to {asked} request{'s' if asked > 1 else ''}: agent or home agent unreachable"
    late = max((len(_before(one)) for one in handoff.sessions.values()), default=0)
    return f"registration lost: asked {late} times" if late > 1 else ""


def _before(one: Noticed) -> list[int]:
    return [at for at in one.asked if one.accepted is None or at <= one.accepted]


def _never_asked(handoff: Handoff) -> str:
    if handoff.first_asked is not None:
        return ""
    return "discovery: no agent and no address" if handoff.heard is None else "agent heard, but not asked"


def _largest(handoff: Handoff) -> str:
    lengths = {part: end - begin for part, (begin, end) in handoff.parts().items()}
    if not lengths:
        return "nothing"
    part = max(lengths, key=lambda name: lengths[name])
    if part == "discovery" and handoff.heard is None:
        return "discovery: no agent, own address instead"
    return f"{part}: {lengths[part]} ms"


_RULES: tuple[Callable[[Handoff], str], ...] = (_no_link, _never_asked, _denied, _unanswered, _largest)


class Reading:
    """Reads events of the node in order and puts handoffs together."""

    def __init__(self) -> None:
        self.handoffs: list[Handoff] = []
        self.names: dict[str, str] = {}  # home address -> session
        self._asked: dict[int, tuple[Handoff, Noticed]] = {}
        self._place: tuple[float, float] | None = None

    def take(self, event: Event) -> None:
        read = _READ.get(event["event"])
        if read is not None:
            read(self, event)

    def _begin(self, at: int) -> Handoff:
        if self.handoffs:
            self.handoffs[-1].ended = at
        self.handoffs.append(Handoff(at, place=self._place))
        self._asked.clear()
        return self.handoffs[-1]

    def _link_down(self, event: Event) -> None:
        self._begin(event["at"]).link_down = event["at"]

    def _link_up(self, event: Event) -> None:
        if not self.handoffs or self.handoffs[-1].link_up is not None:
            return  # the node has just started: nothing was interrupted
        self.handoffs[-1].link_up = event["at"]
        self.handoffs[-1].rssi = event.get("rssi")

    def _agent(self, event: Event) -> None:
        if self.handoffs and self.handoffs[-1].heard is None:
            self.handoffs[-1].heard, self.handoffs[-1].agent = event["at"], event["agent"]

    def _request(self, event: Event) -> None:
        if not self.handoffs or not event["lifetime"]:
            return
        handoff = self.handoffs[-1]
        if handoff.care_of_address and handoff.care_of_address != event["care_of_address"]:
            handoff = self._begin(event["at"])
        if handoff.last_accepted is None or not handoff.sessions:
            handoff.care_of_address = event["care_of_address"]
            session = event["session"]
            noticed = handoff.sessions.setdefault(session, Noticed(event["home_address"], session))
            noticed.asked.append(event["at"])
            self._asked[event["identification"]] = (handoff, noticed)

    def _reply(self, event: Event) -> None:
        handoff, noticed = self._asked.pop(event["identification"], (None, None))
        if handoff is None or noticed is None or noticed.accepted is not None:
            return
        noticed.codes.append(event["code"])
        if event["code"] in _GOOD:
            noticed.accepted, noticed.home_address = event["at"], event["home_address"]
            self.names[event["home_address"]] = noticed.session

    def _packet(self, event: Event) -> None:
        if not self.handoffs or event["at"] - self.handoffs[-1].began > _LATE:
            return
        handoff = self.handoffs[-1]
        noticed = next((one for one in handoff.sessions.values() if one.home_address == event["home_address"]), None)
        if noticed is not None and noticed.first is None:
            noticed.first, noticed.last, noticed.within = event["at"], event["last"], event.get("uncertainty", 0)

    def _sample(self, event: Event) -> None:
        if "latitude" in event:
            self._place = (event["latitude"], event["longitude"])


_READ = {
    "link_down": Reading._link_down,
    "link_up": Reading._link_up,
    "agent": Reading._agent,
    "request": Reading._request,
    "reply": Reading._reply,
    "packet": Reading._packet,
    "sample": Reading._sample,
}


def handoffs(events: Iterable[Event]) -> list[Handoff]:
    """Of the node's events (and tracks'), in order of time. A packet is read after the reply it may have overtaken."""
    reading = Reading()
    ours: Sequence[Event] = [one for one in events if one["source"] in ("node", "gpx")]
    for event in sorted(ours, key=lambda one: one["at"] + 20 if one["event"] == "packet" else one["at"]):
        reading.take(event)
    if reading.handoffs and ours:
        reading.handoffs[-1].ended = max(one["at"] for one in ours)
    return reading.handoffs
