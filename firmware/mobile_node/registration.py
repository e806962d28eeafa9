"""One session's registration (RFC 5944 §3.6): states, retransmission, renewal, what each denial asks for."""

from mip4.address import show
from mip4.compat import const
from mip4.const import (
    ACCEPTED,
    ACCEPTED_NO_SIMULTANEOUS,
    FA_MISSING_CHALLENGE,
    FA_STALE_CHALLENGE,
    FA_UNKNOWN_CHALLENGE,
    FA_UNKNOWN_CRITICAL_IN_REPLY,
    FLAG_B,
    HA_IDENTIFICATION,
    HA_PROHIBITED,
    INFINITE,
    code_name,
    is_from_home_agent,
)
from mip4.effects import Said, Send, Solicit
from mip4.errors import Unexpected
from mip4.extensions import (
    CriticalVendor,
    ForeignAgentError,
    MobileForeignChallenge,
    find,
    find_host_configuration,
)
from mip4.identification import LOW
from mip4.messages import RegistrationRequest
from mobile_node.outcomes import Ended, Granted, Refused, Returned, Unnamed
from mobile_node.reply import check, is_named, text_of, tunnel
from mobile_node.terms import Terms

IDLE = "idle"  # nothing is wanted, or nobody to ask
REGISTERING = "registering"  # asked for, not yet granted
REGISTERED = "registered"  # granted; a renewal may be under way
LEAVING = "leaving"  # to be deregistered
RETURNING = "returning"  # at home, which the home agent is yet to confirm by ending the registration
HOME = "home"  # at home: the address is ours without a registration

_FIRST_RETRY = const(1000)  # ms, the floor of RFC 5944 §3.6.3
_LAST_RETRY = const(60000)
_DENIED_RETRY = const(10000)  # ms, where the owner has to do something first
_DENIED_LAST_RETRY = const(300000)
_GOODBYES = const(3)  # deregistrations sent before the home agent is left to let the binding run out

# Denials that another try or another agent may heal soon (spec: 14.2); any other waits for the owner.
_PASSING = (64, 65, 66, 69, 71, 74, 75, 76, 77, 78, 80, 81, 82, 88, 96, 97, 98, 99, 128, 133, 136, 137, 138, 142)
_CHALLENGE = (FA_UNKNOWN_CHALLENGE, FA_MISSING_CHALLENGE, FA_STALE_CHALLENGE)
_OWN_PACE = (66, 96, 97)  # the agent cannot tell our sessions apart, or has no room: one at a time there


class Registration:
    """Drives one (NAI, sub-NAI) through one agent at a time. node: what all registrations of a node share.

    home_address, lifetime (seconds granted), sent and expires (ms): of the registration that holds. configuration:
    RFC 4332 sub-type -> octets, from the home agent. tunnel: where our care-of address is our own, "udp", "gre" or
    "ipip" as was agreed, else ""; keepalive: seconds, of a UDP tunnel; broadcasts: whether they were asked for.
    link_mtu: octets that pass the way to the home agent whole, with all headers.
    """

    def __init__(self, node, sub_nai: bytes, home_address: int):
        self._node = node
        self.link_mtu = node.link_mtu
        self.sub_nai = sub_nai
        self.home_address = home_address
        self.state = IDLE
        self.agent = None
        self.lifetime = 0
        self.expires = None
        self.configuration = {}
        self.code = None
        self.tunnel = ""
        self.keepalive = 0
        self.broadcasts = False
        self.named = True  # whether the home agent is told our sub-NAI
        self._terms = Terms(node)
        self._renounced = False
        self._identifications = node.identifications()
        self._challenge = (0, b"", 0)  # the last that came with a reply: care-of address, octets, when, ms
        self._datagram = b""  # the last request, until nothing may answer it any more
        self._identification = 0  # of that
        self._granted_by = None
        self._answered = True
        self._asked = 0  # when the last request first left, ms
        self._sent = 0
        self._through = 0
        self._retry = _FIRST_RETRY
        self._next = None
        self._goodbyes = 0

    @property
    def home_agent(self) -> int:
        """The session's; ANY or BROADCAST while others have the choice (RFC 4433)."""
        return self._terms.home_agent

    @property
    def told(self) -> bytes:
        """The sub-NAI that goes into its requests, b"" for none."""
        return self.sub_nai if self.named else b""

    @property
    def waiting(self) -> bool:
        """Whether a request is under way."""
        return not self._answered

    @property
    def is_asked_for(self) -> bool:
        """Whether it holds or is to hold."""
        return self.state in (REGISTERING, REGISTERED)

    @property
    def in_first_try(self) -> bool:
        """Whether a request is under way that was not repeated yet."""
        return self.waiting and self._retry == _FIRST_RETRY

    def is_valid(self, now: int) -> bool:
        """Whether the home agent holds a binding for us, as far as we know."""
        return self.lifetime > 0 and (self.expires is None or self.expires > now)

    def has_home(self) -> bool:
        """Whether there is a home address to come home with, and a home agent that knows of it."""
        return self.home_address != 0 and not self._terms.left_open

    def is_ours(self, now: int) -> bool:
        """Whether the home agent says that the home address is ours: there is a binding, or we are at home with it."""
        return self.is_valid(now) or self.state == HOME

    def ours_until(self, now: int) -> int | None:
        """How long a device may rely on it, ms; None for ever."""
        if self.is_valid(now):
            return self.expires
        return None if self._node.lifetime == INFINITE else now + self._node.lifetime * 1000

    def register(self, agent, now: int) -> list:
        """Register through `agent`, for the first time or anew: at once, but with one agent once a second.

        At home that is to deregister, with the home address for a care-of address (RFC 5944 §3.6.1.2).
        """
        self.agent = agent
        self._terms.begin()
        self._retry = _FIRST_RETRY
        self._answered = True
        self.state = REGISTERED if self.is_valid(now) else REGISTERING
        self._next = self._soonest(now)
        if agent.home:
            self.state = RETURNING
        return self.wake(now)

    def follow(self, agent) -> None:
        """The same agent, as it advertises itself now."""
        if self.agent is not None and self.agent.home == agent.home:
            self.agent = agent

    def suspend(self, now: int) -> None:
        """The link or the agent is gone: nothing is sent until register() is called."""
        self.agent = None
        self._answered = True
        if self.state != LEAVING:
            self.state = REGISTERED if self.is_valid(now) else REGISTERING
        self._next = None

    def deregister(self, now: int) -> list:
        """Give the home address back; asks as often as _GOODBYES says, if there is anything to give back."""
        if self.lifetime == 0 and not self._datagram:
            self.state = IDLE
            return [Ended(False)]
        self.state = LEAVING
        self._retry = _FIRST_RETRY
        self._goodbyes = 0
        return self.go_on(self.agent, now)

    def renounce(self, home_address: int, now: int) -> list:
        """Give back an address that was not given to us by name."""
        self.home_address = home_address
        self.lifetime = 0
        self.expires = None
        self._renounced = True
        self.state = LEAVING
        self._retry = _FIRST_RETRY
        self._goodbyes = 0
        return self.go_on(self.agent, now)

    def lose(self) -> None:
        """The home agent has given our address to somebody else."""
        self.home_address = 0
        self.lifetime = 0
        self.expires = None

    def rest(self, now: int) -> None:
        """The home agent has no room for us: nothing is asked for."""
        self.suspend(now)
        self._forget()
        self.state = IDLE

    def go_on(self, agent, now: int) -> list:
        """An agent is there (again), or None is, for a session that is leaving."""
        self.agent = agent
        if agent is None:
            self._next = None
            return [] if self.is_valid(now) else self._gone()
        self._next = self._soonest(now)
        return self.wake(now)

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        times = [time for time in (self._next, self.expires if self.lifetime else None) if time is not None]
        return min(times) if times else None

    def wake(self, now: int) -> list:
        """Retransmit, renew, or notice that the lifetime is over."""
        effects = []
        if self.lifetime and self.expires is not None and self.expires <= now:
            effects += self._over()
            if self.state == IDLE:
                return effects
        if self._next is None or self._next > now:
            return effects
        if self.state == LEAVING:
            return effects + self._goodbye(now)
        if self.agent is None:
            self._next = None
            return effects
        lifetime = self._terms.lifetime(self.agent)
        if self.waiting:
            self._retry = min(self._retry * 2, _LAST_RETRY, lifetime * 1000 or _LAST_RETRY)
        return effects + self._send(lifetime, now)

    def matches(self, reply) -> bool:
        """Whether `reply` answers our last request: by the word that is always copied (RFC 5944 §5.7)."""
        return self._datagram != b"" and (reply.identification ^ self._identification) & LOW == 0

    def receive(self, datagram: bytes, reply, now: int) -> list:
        """Take a reply that matches. Raises MipError for one that is not authentic or not ours to believe."""
        believed = self._node.security.verify(datagram, reply, self._through)
        request = self._request()
        errors = find(reply.extensions, ForeignAgentError)
        accepted = reply.code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS)
        if self._answered and (errors or not accepted):
            raise Unexpected("a denial of a request that was answered before")
        # None of ours goes through a home agent unseen, so this one is from the foreign agent.
        challenges = find(reply.extensions, MobileForeignChallenge)
        if challenges:
            self._challenge = (self._through, challenges[-1].challenge, now)
        if is_from_home_agent(reply.code):
            self._identifications.answered(reply.identification)
        if not accepted:
            return self._denied(reply, believed, request, now)
        if not self._identifications.accepts(reply.identification, self._identification):
            raise Unexpected("accepted with another Identification")
        if errors:
            return self._denied_with(errors[0].status, "", now)
        if find(believed, CriticalVendor):  # RFC 3115 §2.3: it may have said anything, so it granted nothing
            return self._denied_with(FA_UNKNOWN_CRITICAL_IN_REPLY, "", now)
        return self._accepted(reply, believed, request)

    # ---- replies

    def _accepted(self, reply, believed: list, request) -> list:
        node, told = self._node, self.told
        check(reply, believed, request, node, told)
        self._terms.assigned(reply)
        if reply.identification == self._granted_by:
            return []  # the same reply once more
        self._answered = True
        self.code = reply.code
        unnamed = not is_named(believed, node, told)
        if request.lifetime == 0:
            return ([Unnamed(0)] if unnamed else []) + self._deregistered(believed)
        if self.state == LEAVING:
            return []
        if unnamed:
            self._datagram, self._next = b"", None
            return [Unnamed(reply.home_address)]
        return self._granted(reply, believed, request)

    def _deregistered(self, believed: list) -> list:
        """The binding is gone: that was a goodbye, or we are at home and the address stays ours."""
        self._forget()
        if self.state != RETURNING:
            self.state = IDLE
            return [Ended(False)]
        self.state = HOME
        self.configuration = find_host_configuration(believed) or self.configuration
        return [Returned()]

    def _granted(self, reply, believed: list, request) -> list:
        """Its lifetime began when the request left (RFC 5944 §3.6.2.2), so that we are the first to end it."""
        self._granted_by = reply.identification
        self.home_address = reply.home_address
        self.lifetime = min(reply.lifetime, request.lifetime)
        self.configuration = find_host_configuration(believed)
        self.tunnel, self.keepalive = tunnel(request, believed)
        self.broadcasts = bool(request.flags & FLAG_B)
        self._terms.replacing = False
        self.state = REGISTERED
        self._retry = _FIRST_RETRY
        if self.lifetime == INFINITE:
            self.expires = self._next = None
        else:
            self.expires = self._asked + self.lifetime * 1000
            # 45..50 %, so that the sessions of many nodes do not renew in step
            renewal = self.lifetime * (450 + self._identification % 51)
            self._next = max(self._asked + renewal, self._sent + _FIRST_RETRY)
        return [Granted()]

    def _denied(self, reply, believed: list, request, now: int) -> list:
        said = self._node.wishes.denied(reply.code, self.agent) if self.agent is not None else []
        soon = self._terms.denied(reply, believed, request)
        if reply.code == HA_IDENTIFICATION:
            self._identifications.resynchronise(reply.identification, now)
        elif reply.code == HA_PROHIBITED and request.home_address and not self.is_valid(now):
            self.home_address = 0  # remembered from another life; any other will do
            if self.state == RETURNING:
                self.suspend(now)
                return said + [self._refusal(reply.code, ""), Ended(True)]
        effects = said + self._denied_with(reply.code, text_of(believed), now, soon)
        if reply.code in _CHALLENGE and not find(reply.extensions, MobileForeignChallenge):
            effects.append(Solicit())  # it may be advertised
        return effects

    def _denied_with(self, code: int, text: str, now: int, soon: bool = False) -> list:
        """Try again later, sooner where that may help by itself. Each repetition doubles the wait; none is the last.

        soon: whether the next request is another one.
        """
        self._answered = True
        repeated = self.code == code
        self.code = code
        passing = code in _PASSING or code in _CHALLENGE or soon
        floor, ceiling = (_FIRST_RETRY, _LAST_RETRY) if passing else (_DENIED_RETRY, _DENIED_LAST_RETRY)
        self._retry = min(max(self._retry * 2, floor), ceiling) if repeated else floor
        self._next = max(self._sent + self._retry, now)
        # A node without a clock meets 133 at every start, and an agent that was restarted knows no challenge of before;
        # only when the answer to it does not help, it is news.
        level = "info" if (code == HA_IDENTIFICATION or code in _CHALLENGE) and not repeated else "warning"
        singly = code in _OWN_PACE or (code in _CHALLENGE and repeated)
        return [Refused(code, singly), self._refusal(code, text, level)]

    def _refusal(self, code: int, text: str, level: str = "warning") -> Said:
        said = "denied sub_nai=%s code=%s" % (self._name(), code_name(code))
        return Said(level, said + (": " + text if text else ""))

    # ---- requests

    def _soonest(self, now: int) -> int:
        """When the next request may leave (RFC 5944 §3.6): through the agent of the last one a second after that."""
        return max(now, self._sent + _FIRST_RETRY) if self.agent.care_of_address == self._through else now

    def _goodbye(self, now: int) -> list:
        if self._goodbyes >= _GOODBYES:
            return self._gone()
        self._goodbyes += 1
        self._retry *= 2
        return self._send(0, now)

    def _gone(self) -> list:
        """Nobody answers our goodbye: the home agent lets the binding run out by itself."""
        self._forget()
        self.state = IDLE
        return [Ended(False)]

    def _over(self) -> list:
        """The lifetime ran out. The address is being asked for anew, but no packet may carry it until then."""
        if self.state == LEAVING:
            return self._gone()
        self.lifetime = 0
        self.expires = None
        if self.state == RETURNING:
            return []
        self._terms.end()
        self.state = REGISTERING
        if self._answered:
            self._datagram = b""  # what answered it once may not do so again
        text = "lifetime over sub_nai=%s home=%s" % (self._name(), show(self.home_address))
        return [Ended(True), Said("warning", text)]

    def _forget(self) -> None:
        if self._renounced:
            self.home_address = 0
            self._renounced = False
        self.lifetime = 0
        self.expires = None
        self._next = None
        self._datagram = b""
        self._answered = True

    def _send(self, lifetime: int, now: int) -> list:
        agent = self.agent
        if not self._is_repetition(lifetime):
            self._identification = self._identifications.next(now)
            request = self._terms.request(self, lifetime, self._identification)
            for_agent = self._terms.for_agent(agent, request)
            self._datagram = self._node.security.sign(
                request.encode(), agent.care_of_address, for_agent, self._latest_challenge()
            )
            self._asked = now
        self._answered = False
        self._sent = now
        self._through = agent.care_of_address
        self._next = now + self._retry
        destination = self.home_agent if agent.home or not agent.link_address else agent.address
        source = self.home_address if agent.home else agent.co_located
        return [Send(self._datagram, destination, agent.link_address, source)]

    def _request(self) -> RegistrationRequest:
        """The last one, read as its agents read it. Kept like this it would be four times as large as its octets."""
        return RegistrationRequest.decode(self._datagram)

    def _is_repetition(self, lifetime: int) -> bool:
        """Whether the last request goes out once more as it was: nobody answered, and nothing has changed since."""
        return self.waiting and self._identifications.repeats and self._request().lifetime == lifetime

    def _latest_challenge(self) -> bytes:
        """Of our agent, advertised or with a reply: who has asked at last is to be answered (RFC 4721 §3.1)."""
        care_of_address, octets, when = self._challenge
        replied = care_of_address == self.agent.care_of_address and when >= self.agent.heard
        return octets if replied else self.agent.challenge

    def _name(self) -> str:
        return self.sub_nai.decode() or "-"
