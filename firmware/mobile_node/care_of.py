"""Which way registrations take: through the agent that is heard, from an address of our own, or none, at home

(RFC 5944 §3.6.1).
"""

from mip4.compat import const
from mip4.const import ADVERT_R, ADVERT_T, INFINITE
from mobile_node.agent_discovery import Agent, AgentDiscovery

FOREIGN_AGENT = "foreign-agent"
CO_LOCATED = "co-located"
HOME = "home"
AUTO = "auto"

_FIRST_PAUSE = const(10000)  # ms without a tunnel that could not be made, as after a denial that waits for the owner
_LAST_PAUSE = const(300000)


class CareOf:
    """Agent discovery and the uplink's own address, made into one `current` way, None while there is none.

    A way is an Agent. One whose co_located is not 0 has our own care-of address; if it also has no link address it is
    no agent's at all: the home agent is asked directly. One that is our home is taken in every mode.
    """

    def __init__(self, mode: str, home_agent: int, noise):
        """noise: as of AgentDiscovery."""
        self.current = None
        self._mode = mode
        self._home_agent = home_agent
        self._discovery = AgentDiscovery(home_agent, noise)
        self._address = 0
        self._pause = 0  # the last, ms
        self._again = None  # when it ends

    def link_up(self, now: int) -> None:
        self._discovery.link_up(now)
        self.current = None
        self._pause, self._again = 0, None

    def link_down(self) -> None:
        self._discovery.link_down()
        self.current = None

    def heard(self, packet: bytes, link_address: bytes, now: int) -> bool:
        """True when `current` wants new registrations from everybody, as below. Raises MipError."""
        return self._settle(self._discovery.heard(packet, link_address, now), now)

    def address(self, address: int, now: int) -> bool:
        """The uplink has this address now, 0 for none, and a router that leads beyond its link."""
        self._address = address
        self._pause, self._again = 0, None
        return self._settle(False, now)

    def pause(self, now: int) -> int:
        """No tunnel begins at our own address: it is no way for so many ms, more each time on one link."""
        self._pause = min(self._pause * 2, _LAST_PAUSE) or _FIRST_PAUSE
        self._again = now + self._pause
        self._settle(False, now)
        return self._pause

    def is_with(self, home_agent: int) -> None:
        """Whose home link is ours, where the choice was left open (RFC 4433)."""
        self._discovery.home_agent = home_agent

    def to_ask_from_home(self, home_address: int) -> Agent | None:
        """The way of a session that is at home and has no address: a request from home needs one (RFC 5944 §3.6.1.1).

        So it begins like one from elsewhere, from an address of ours on the home link: home_address, that of another
        session, or the uplink's own. None where there is neither.
        """
        if not home_address and not self._address:
            return None
        way = _of_our_own(self.current, home_address or self._address)
        way.address = self._discovery.home_agent
        return way

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        times = [self._discovery.deadline(), self._again]
        if self.current is None and self._mode == AUTO and self._address and self._again is None:
            times.append(self._discovery.unanswered)
        times = [time for time in times if time is not None]
        return min(times) if times else None

    def wake(self, now: int) -> tuple:
        """(whether to solicit, whether `current` wants new registrations)."""
        if self._again is not None and self._again <= now:
            self._again = None
        solicit, moved = self._discovery.wake(now)
        return solicit, self._settle(moved, now)

    def avoid(self, now: int) -> bool:
        """`current` would not have us; take another agent that is heard and would. True when there is."""
        if not self.current.link_address or not self._discovery.avoid(now):
            return False
        return self._settle(True, now)

    def _settle(self, moved: bool, now: int) -> bool:
        """moved: what discovery said of its agent, which concerns us only while that is the way."""
        former, self.current = self.current, self._choose(now)
        if self.current is None:
            return False
        return former is None or _way(former) != _way(self.current) or (moved and self.current.link_address != b"")

    def _choose(self, now: int) -> Agent | None:
        agent = self._discovery.current
        if self._mode == FOREIGN_AGENT or (agent is not None and (self._mode == AUTO or agent.home)):
            return agent
        if not self._discovery.up or not self._address or self._again is not None:
            return None
        if self._mode == CO_LOCATED and agent is not None and agent.flags & ADVERT_R:
            return _of_our_own(agent, self._address)  # it demands to be asked, whoever decapsulates (§2.1.1)
        directly = self.current is not None and self.current.co_located
        if self._mode == AUTO and not directly and not self._discovery.is_silent(now):
            return None
        return Agent(
            address=self._home_agent,
            link_address=b"",
            care_of_address=self._address,
            lifetime=INFINITE,
            flags=ADVERT_T,
            sequence=0,
            prefix_length=None,
            heard=now,
            interval=0,
            until=now,
            challenge=b"",
            co_located=self._address,
            home=False,
        )


def _of_our_own(agent: Agent, address: int) -> Agent:
    values = dict(zip(Agent.__slots__, agent.values()))
    values["co_located"] = address
    values["home"] = False
    return Agent(**values)


def _way(agent: Agent) -> tuple:
    """What registrations and packets depend on: when it changes, everybody registers anew."""
    return agent.care_of_address, agent.link_address, agent.co_located, agent.home
