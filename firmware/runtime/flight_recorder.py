"""The node's flight recorder: every handoff with its parts, where it was, and how its link and its machine were.

It listens to what the runtime tells the engine and what the engine answers, keeps it in RAM while a handoff goes on,
and writes it to flash (flight_ring.py) when there is time. A record is a JSON object with "t", ms since the node
started, and "e", its kind; docs/trial.md lists them. Nothing here waits for the flash, and nothing waits for this.
"""

import asyncio
import gc
import json

from mip4.address import show
from mip4.const import REGISTRATION_REPLY, REGISTRATION_REQUEST
from mip4.effects import Attach, Detach, Dropped, Send
from mip4.errors import MipError
from mip4.extensions import Nai
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import find_sub_nai
from runtime.flight_ring import LONGEST, Ring

_WAITING = 192  # records in RAM; later ones are counted only
_WRITE_AT = 24  # records that are worth a write before their time
_HOUR_MS = 3600000
_BURST = 128  # pages
_HANDOFF_MS = 5000  # one that lasts longer is worth less than what a power cut would take


class FlightRecorder:
    """One of a node that has one. Without one the runtime asks `is None`, once for each event."""

    def __init__(self, config: dict, nai: str, vendor: int, instruments, clock, log):
        """config: the node's key "recorder" (node_fields.py). instruments: what the platform can tell of itself."""
        self._config = config
        self._nai = nai
        self._vendor = vendor
        self._instruments = instruments
        self._clock = clock
        self._log = log
        self._ring = Ring(config["path"], config["size"])
        self.on = False
        self._started = asyncio.Event()
        self._waiting = []  # (ms, kind, what it is made of), oldest first
        self._lost = 0  # records that there was no room for
        self._pages = _BURST  # that may be written now
        self._refilled = 0
        self._write_after = 0
        self._sampled = 0
        self._fix = None
        self._homes = {}  # home address, octets -> (when a packet for it last came, give or take), ms, or None
        self._devices = {}  # those of devices
        self._silent = {}  # of those that have had none since the last link or agent was lost: the same
        self._since = 0
        self._agent_awaited = False
        self._care_of = b""
        self._notes = {"link_down": self._link_down, "link_up": self._link_up, "heard": self._heard}
        self._notes["receive"] = self._received

    # ---- what a person asks for

    def begin(self) -> dict:
        """Record from now on."""
        if not self.on:
            now = self._clock.now()
            try:
                self._ring.open()
            except OSError as error:
                return {"error": "%s: errno %d" % (self._config["path"], error.errno)}
            self._homes = {home: None for home in self._homes}
            self._silent = {}
            self._instruments.link_up()
            self.on = True
            self._add(now, "start", {"nai": self._nai, "utc": self._instruments.utc()})
            self._add(now, "sample", self._sample())
            self._started.set()
            self._log.info("flight recorder on, %s" % self._config["path"])
        return self.status()

    def end(self) -> dict:
        if self.on:
            self._add(self._clock.now(), "stop", {})
            self._write()
            self.on = False
            self._started.clear()
            self._log.info("flight recorder off")
        return self.status()

    def mark(self) -> dict:
        """Somebody wants to find this moment again."""
        if self.on:
            self._add(self._clock.now(), "mark", {})
        return self.status()

    def write(self) -> dict:
        """What is in RAM to flash, now."""
        if self.on:
            self._write()
        return self.status()

    def status(self) -> dict:
        return {
            "on": self.on,
            "path": self._config["path"],
            "size": self._config["size"],
            "records": self._ring.sequence,
            "pages_written": self._ring.written,
            "waiting": len(self._waiting),
            "lost": self._lost,
        }

    # ---- what happens

    def told(self, what: str, arguments: tuple, effects: list, now: int) -> None:
        """The engine was told `what` at `now` and answered with `effects`, which have been done."""
        for effect in effects:  # also while it is off: it may be switched on at any moment
            if type(effect) is Attach:
                home = effect.home_address.to_bytes(4, "big")
                self._homes.setdefault(home, None)
                if effect.downlink:
                    self._devices[home] = True
            elif type(effect) is Detach:
                home = effect.home_address.to_bytes(4, "big")
                for table in (self._homes, self._devices, self._silent):
                    table.pop(home, None)
        if not self.on:
            return
        note = self._notes.get(what)
        if note:
            note(arguments, effects, now)
        for effect in effects:
            if type(effect) is Send and effect.datagram[0] == REGISTRATION_REQUEST:
                self._asked(effect, now)

    def position(self, fix: dict) -> None:
        """A GPS receiver knows where we are (nmea.py)."""
        self._fix = fix

    def sources(self) -> list:
        """As a port's sources()."""
        return [("flight recorder", self.serve)] + self._instruments.sources(self)

    def answers(self) -> dict:
        """What it does when the control socket is asked."""
        return {
            b"record start": self.begin,
            b"record stop": self.end,
            b"record mark": self.mark,
            b"record write": self.write,
            b"record status": self.status,
        }

    async def serve(self, runtime) -> None:
        """The source of ticks: what came for whom, samples, and writes that are due."""
        while True:
            await self._started.wait()
            while self.on:
                await asyncio.sleep_ms(self._instruments.tick_ms)
                self._tick(self._clock.now())

    def _tick(self, now: int) -> None:
        for home, when, within in self._instruments.traffic(self._homes, self._devices, now):
            if home in self._silent and when >= self._since:
                self._add(now, "packet", (home, when, within, self._silent.pop(home)))
            self._homes[home] = (when, within)
        if now - self._sampled >= self._config["sample"] * 1000:
            self._add(now, "sample", self._sample())
        if self._waiting and now >= self._write_after and self._is_due(now):
            self._write_if_allowed(now)

    def _is_due(self, now: int) -> bool:
        """A write stops a board for tens of ms: not in the middle of a handoff, unless room gets short."""
        if len(self._waiting) >= _WAITING // 2:
            return True
        if self._silent and now - self._since < _HANDOFF_MS:
            return False
        return len(self._waiting) >= _WRITE_AT or now - self._waiting[0][0] >= self._config["write"] * 1000

    def _link_down(self, arguments: tuple, effects: list, now: int) -> None:
        for home, when, within in self._instruments.traffic(self._homes, self._devices, now):  # what had come before
            self._homes[home] = (when, within)
        self._fall_silent(now)
        self._agent_awaited = False
        self._care_of = b""
        self._add(now, "link_down", {})

    def _link_up(self, arguments: tuple, effects: list, now: int) -> None:
        self._instruments.link_up()
        self._agent_awaited = True
        self._add(now, "link_up", None)

    def _heard(self, arguments: tuple, effects: list, now: int) -> None:
        if self._agent_awaited and not [one for one in effects if type(one) is Dropped]:
            self._agent_awaited = False
            self._add(now, "agent", {"agent": show(int.from_bytes(arguments[0][12:16], "big"))})

    def _received(self, arguments: tuple, effects: list, now: int) -> None:
        datagram = arguments[0]
        if datagram[:1] == bytes([REGISTRATION_REPLY]) and not [one for one in effects if type(one) is Dropped]:
            self._add(now, "reply", (datagram, arguments[1]))

    def _asked(self, effect: Send, now: int) -> None:
        care_of = bytes(effect.datagram[12:16])
        if care_of != self._care_of:  # another agent, perhaps without a link that was lost
            self._care_of = care_of
            self._fall_silent(now)
        self._add(now, "request", effect)

    def _fall_silent(self, now: int) -> None:
        if not self._silent:
            self._since = now
        for home, when in self._homes.items():
            self._silent.setdefault(home, when)

    # ---- to flash

    def _sample(self) -> dict:
        self._sampled = self._clock.now()
        found = self._instruments.measure()
        found["utc"] = self._instruments.utc()
        found["heap"] = gc.mem_free()
        fix, self._fix = self._fix, None
        if fix:
            found.update({"lat": fix["latitude"], "lon": fix["longitude"], "v": fix["speed"], "gps": fix["utc"]})
        return found

    def _add(self, now: int, kind: str, made_of) -> None:
        if len(self._waiting) >= _WAITING:
            self._lost += 1
            return
        self._waiting.append((now, kind, made_of))

    def _write_if_allowed(self, now: int) -> None:
        """Within the hour's share of pages; until there are enough, records wait in RAM, as many as have room there."""
        each = _HOUR_MS // self._config["pages_per_hour"]
        more = (now - self._refilled) // each
        self._refilled += more * each
        self._pages = min(_BURST, self._pages + more)
        wanted = len(self._waiting) // 2 + 1  # more than two records rarely share a page
        if wanted > self._pages:
            self._write_after = now + (wanted - self._pages) * each
        else:
            self._write()

    def _write(self) -> None:
        """What waits. What a person asks for goes beyond the share, and what is due by itself waits for it."""
        waiting, self._waiting = self._waiting, []
        bodies = [body for body in [self._body(*one) for one in waiting] if body]
        if self._lost:
            bodies.append(self._encode({"t": self._clock.now(), "e": "lost", "n": self._lost}))
        if not bodies:
            return
        before = self._ring.written
        try:
            self._ring.append(bodies)
            self._lost = 0
        except OSError as error:
            self._lost += len(waiting)
            self._log.seldom("flight", "flight recorder %s: errno %d" % (self._config["path"], error.errno))
        self._pages -= self._ring.written - before

    def _body(self, now: int, kind: str, made_of) -> bytes:
        made = _BODIES.get(kind)
        try:
            document = dict(made(self, made_of) if made else made_of)
        except MipError:
            document = {}
        document["t"] = now
        document["e"] = kind
        return self._encode(document)

    def _encode(self, document: dict) -> bytes:
        body = json.dumps(document, separators=(",", ":")).encode()
        if len(body) > LONGEST:  # a long sub-NAI, all of it in need of a backslash
            self._lost += 1
            return b""
        return body

    def _link_body(self, made_of) -> dict:
        return self._instruments.link()

    def _request_body(self, effect: Send) -> dict:
        request = RegistrationRequest.decode(effect.datagram)
        nai = [one.nai for one in request.extensions if type(one) is Nai]
        named = find_sub_nai(request.extensions, self._vendor, nai[0] if nai else b"")
        return {
            "s": named.sub_nai.decode() if named else "",
            "h": show(request.home_address),
            "c": show(request.care_of_address),
            "l": request.lifetime,
            "i": request.identification & 0xFFFFFFFF,
        }

    def _reply_body(self, made_of: tuple) -> dict:
        reply = RegistrationReply.decode(made_of[0])
        return {
            "a": show(made_of[1]),
            "h": show(reply.home_address),
            "code": reply.code,
            "l": reply.lifetime,
            "i": reply.identification & 0xFFFFFFFF,
        }

    def _packet_body(self, made_of: tuple) -> dict:
        home, when, within, last = made_of
        before = last if last else (None, 0)
        return {"h": show(int.from_bytes(home, "big")), "at": when, "last": before[0], "u": within + before[1]}


_BODIES = {
    "link_up": FlightRecorder._link_body,
    "request": FlightRecorder._request_body,
    "reply": FlightRecorder._reply_body,
    "packet": FlightRecorder._packet_body,
}
