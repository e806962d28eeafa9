"""Agent discovery and move detection (RFC 5944 §2.4): which agents are heard, and which of them is ours."""

from mip4.address import in_prefix
from mip4.compat import const
from mip4.const import ADVERT_B, ADVERT_F, ADVERT_H, INFINITE, PROTO_ICMP
from mip4.discovery import AdvertisedChallenge, AgentAdvertisement, PrefixLengths
from mip4.errors import Unexpected
from mip4.ip import Packet
from mip4.record import Record

_AGENTS = const(8)  # heard at a time; beyond it the one that ends first is forgotten
_SOLICIT_FIRST = const(300)  # ms between the first three solicitations
_ENOUGH = const(3)  # solicitations, after which a node with an address of its own helps itself
_SOLICIT_LAST = const(60000)  # ms between later ones, doubling up to here (RFC 5944 §2.4)
_AVOID = const(60000)  # ms for which an agent that refused us is the last choice
_REBOOTED = const(255)  # a sequence number that fell to this or below (RFC 5944 §2.4.4)
_DOUBT_FIRST = const(1000)  # ms until an agent that was rebooted is believed to have been so again, ...
_DOUBT_LAST = const(60000)  # ... doubling up to here, unless it was calm for twice as long


class Agent(Record):
    """An agent that is heard. link_address: where its advertisements come from. until, heard: ms.

    co_located: our own care-of address, 0 where the agent's is used. home: whether it is our home agent, on our home
    link, where there is no care-of address. challenge: octets that a request is to answer (RFC 4721 §2), b"" for none.

    lifetime: the longest registration it relays, seconds. interval: a third of its advertisements' lifetime, ms.
    """

    __slots__ = (
        "address",
        "link_address",
        "care_of_address",
        "lifetime",
        "flags",
        "sequence",
        "prefix_length",
        "heard",
        "interval",
        "until",
        "challenge",
        "co_located",
        "home",
    )


class AgentDiscovery:
    """Turns what is heard on the uplink into one agent to register with. `current` is None while there is none.

    unanswered: ms at which the third solicitation in a row counts as unanswered, None before it was sent.
    home_agent: ours, whose advertisements say that we are at home. noise: of chance, so that nodes that lost power
    together do not ask in step.
    """

    def __init__(self, home_agent: int, noise):
        self.home_agent = home_agent
        self._noise = noise
        self.current = None
        self.up = False
        self._agents = []
        self._avoided = {}  # address -> until when, ms
        self._solicit_at = None
        self._solicited = 0
        self.unanswered = None
        self._rebooted = 0  # when `current` was last believed to have been, ms
        self._doubt = 0
        self._believe_at = None  # when it is to be believed that it was once more

    def link_up(self, now: int) -> None:
        """A new link: nothing heard before counts, and it is time to ask."""
        self.up = True
        self.current = None
        self._agents = []
        self._avoided = {}
        self._solicit_at = now
        self._solicited = 0
        self.unanswered = None
        self._doubt = 0

    def link_down(self) -> None:
        self.up = False
        self.current = None
        self._agents = []
        self._solicit_at = None

    def heard(self, octets: bytes, link_address: bytes, now: int) -> bool:
        """Take an IPv4 packet with an advertisement. True when `current` wants new registrations from everybody.

        Raises MipError for anything but an agent's advertisement from this very link (RFC 5944 §2.1), and for one that
        comes ahead of link_up(): frames may pass a link before it is ready, and what answers them may not come back.
        """
        if not self.up:
            raise Unexpected("a packet of a link that is not up")
        packet = Packet.decode(octets)
        if packet.protocol != PROTO_ICMP or packet.ttl != 1:
            raise Unexpected("no advertisement of this link")
        advertisement = AgentAdvertisement.decode(packet.payload)
        agent = _agent(advertisement, packet.source, link_address, self._is_home(advertisement, packet.source), now)
        former = self._replace(agent)
        if agent.until <= now or not _serves(agent):
            return self._lost(agent, now)
        if self.current is None or (agent.home and not self.current.home):
            return self._choose(now)
        if self.current.address == agent.address:
            self.current = agent
            # Any 0, also after a 0: that is how it says that it has revoked a session of ours (RFC 3543 §4.1)
            if agent.sequence < max(former.sequence, 1) and agent.sequence <= _REBOOTED:
                self._doubt_reboot(now)
            return self._believes_reboot(now) or _way(agent) != _way(former)
        return self._has_moved(agent, now) and self._choose(now)

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        times = [agent.until for agent in self._agents]
        times += [time for time in (self._solicit_at, self._believe_at) if time is not None]
        return min(times) if times else None

    def wake(self, now: int) -> tuple:
        """(whether to solicit, whether `current` has changed to an agent that wants registrations)."""
        moved = False
        self._agents = [agent for agent in self._agents if agent.until > now]
        if self.current is not None and self.current.until <= now:
            moved = self._lost(self.current, now)
        moved = self._believes_reboot(now) or moved
        if self._solicit_at is None or self._solicit_at > now:
            return False, moved
        self._solicited += 1
        if self._solicited == _ENOUGH:
            self.unanswered = now + _SOLICIT_FIRST
        wait = _SOLICIT_FIRST if self._solicited < _ENOUGH else min(500 << min(self._solicited - 2, 8), _SOLICIT_LAST)
        self._solicit_at = now + wait + wait * (self._noise.next()[0] - 128) // 1024  # within an eighth (§2.4)
        return True, moved

    def is_silent(self, now: int) -> bool:
        """Whether nobody who could be ours has answered three solicitations."""
        return self.current is None and self.unanswered is not None and self.unanswered <= now

    def avoid(self, now: int) -> bool:
        """`current` would not have us; take another one that is heard and would. True when there is."""
        avoided = sorted([(until, address) for address, until in self._avoided.items() if until > now])
        self._avoided = {address: until for until, address in avoided[1 - _AGENTS :]}
        self._avoided[self.current.address] = now + _AVOID
        others = [one for one in self._agents if _usable(one) and self._avoided.get(one.address, 0) <= now]
        if not others:
            return False
        self.current = others[-1]
        return True

    def _choose(self, now: int) -> bool:
        """The agent heard last that takes newcomers becomes `current`, rather one that has not refused us lately."""
        usable = [agent for agent in self._agents if _usable(agent) and agent.until > now]
        if not usable:
            return False
        willing = [agent for agent in usable if self._avoided.get(agent.address, 0) <= now]
        self.current = (willing or usable)[-1]
        self._solicit_at = self._believe_at = None
        return True

    def _doubt_reboot(self, now: int) -> None:
        """Its sequence number says so. One that says nothing else would have us register with each advertisement."""
        if self._believe_at is not None:
            return
        if now - self._rebooted > 2 * self._doubt:
            self._doubt = 0
        self._believe_at = max(now, self._rebooted + self._doubt)
        self._doubt = min(2 * self._doubt, _DOUBT_LAST) or _DOUBT_FIRST

    def _believes_reboot(self, now: int) -> bool:
        if self._believe_at is None or self._believe_at > now:
            return False
        self._rebooted, self._believe_at = now, None
        return True

    def _is_home(self, advertisement: AgentAdvertisement, source: int) -> bool:
        """Whether it is our own home agent's (RFC 5944 §2.4.3), which may have another address on its link.

        That our home address fits the link's prefix would prove nothing: many networks are 10.0.0.0/24.
        """
        addresses = [source] + [address for address, _ in advertisement.routers]
        return advertisement.agent().flags & ADVERT_H != 0 and self.home_agent in addresses

    def _lost(self, agent: Agent, now: int) -> bool:
        """`agent` is gone. If it was ours, another one that is still heard may be had at once; else ask around."""
        self._agents = [one for one in self._agents if one.address != agent.address]
        if self.current is None or self.current.address != agent.address:
            return False
        self.current = None
        if self._choose(now):
            return True
        self._solicit_at = now
        self._solicited = 0
        self.unanswered = None
        return False

    def _has_moved(self, agent: Agent, now: int) -> bool:
        """Another agent's advertisement alone is no reason (RFC 5944 §3.6); it is one when ours is overdue as well

        and the newcomer is of another network (the prefix rule of §2.4.2.2), so that we are no longer where we were.
        """
        ours = self.current
        if now - ours.heard <= ours.interval or ours.prefix_length is None or agent.prefix_length is None:
            return False
        return ours.prefix_length != agent.prefix_length or not in_prefix(
            agent.address, _network(ours), ours.prefix_length
        )

    def _replace(self, agent: Agent) -> Agent:
        """Note what was heard, last in the list; give back what was known before, `agent` itself if nothing."""
        former = agent
        for one in self._agents:
            if one.address == agent.address:
                former = one
        self._agents = [one for one in self._agents if one.address != agent.address] + [agent]
        if len(self._agents) > _AGENTS:
            oldest = min([(one.until, one.address) for one in self._agents if one.address != self._ours()])[1]
            self._agents = [one for one in self._agents if one.address != oldest]
        return former

    def _ours(self) -> int:
        return 0 if self.current is None else self.current.address


def _agent(advertisement: AgentAdvertisement, source: int, link_address: bytes, home: bool, now: int) -> Agent:
    said = advertisement.agent()
    challenges = [one.challenge for one in advertisement.extensions if type(one) is AdvertisedChallenge]
    lengths = [one.lengths[0] for one in advertisement.extensions if type(one) is PrefixLengths and one.lengths]
    foreign = said.flags & ADVERT_F and said.care_of_addresses
    return Agent(
        address=source,
        link_address=link_address,
        care_of_address=said.care_of_addresses[0] if foreign and not home else 0,
        lifetime=said.lifetime or INFINITE,
        flags=said.flags,
        sequence=said.sequence,
        prefix_length=lengths[0] if lengths and lengths[0] <= 32 else None,
        heard=now,
        interval=advertisement.lifetime * 1000 // 3,
        until=now + advertisement.lifetime * 1000,
        challenge=challenges[0] if challenges else b"",
        co_located=0,
        home=home,
    )


def _way(agent: Agent) -> tuple:
    """What registrations and packets depend on: when it changes, everybody registers anew."""
    return agent.care_of_address, agent.link_address, agent.home


def _serves(agent: Agent) -> bool:
    return agent.home or agent.care_of_address != 0


def _usable(agent: Agent) -> bool:
    return agent.home or (agent.care_of_address != 0 and not agent.flags & ADVERT_B)


def _network(agent: Agent) -> int:
    return agent.address >> (32 - agent.prefix_length) << (32 - agent.prefix_length)
