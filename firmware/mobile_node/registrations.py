"""The registrations of all sessions, at the agent of the moment: who asks when, and what follows from each answer."""

from mip4.address import show, show_link
from mip4.effects import Said
from mobile_node.agent_discovery import Agent
from mobile_node.care_of import CareOf
from mobile_node.carriage import Carriage
from mobile_node.handoffs import Handoffs
from mobile_node.leases import answer_waiting
from mobile_node.one_at_a_time import OneAtATime
from mobile_node.outcomes import Ended, Granted, Refused, Returned, Unnamed
from mobile_node.plain_home_agents import PlainHomeAgents
from mobile_node.registration import LEAVING
from mobile_node.sessions import DEVICE, OWN, Session, SessionTable
from mobile_node.wishes import STYLES

_ELSEWHERE = (65, 66, 76, 77, 78, 80, 81, 82, 88, 96, 105, 108, 109)  # an agent's denials that another may not share


class Registrations:
    """Takes what one session's Registration answers with; passes on what is for the runtime."""

    def __init__(
        self,
        sessions: SessionTable,
        care_of: CareOf,
        carriage: Carriage,
        singly: OneAtATime,
        plain: PlainHomeAgents,
        handoffs: Handoffs,
    ):
        self._sessions = sessions
        self._care_of = care_of
        self._carriage = carriage
        self._singly = singly
        self._plain = plain
        self._handoffs = handoffs

    def move(self, now: int) -> list:
        """All sessions at once, so that a handoff lasts one round trip however many there are."""
        way = self._care_of.current
        care_of_address = None if way.home else show(way.co_located or way.care_of_address)
        text = "co-located care_of=%s" % care_of_address
        if way.home:
            text = "at home, home agent %s link=%s" % (show(way.address), show_link(way.link_address))
        elif way.link_address:
            text = "agent %s care_of=%s link=%s" % (show(way.address), care_of_address, show_link(way.link_address))
        self.suspend(now)
        wanted = len([one for one in self._sessions if one.wanted])
        self._handoffs.began(show(way.address), care_of_address, wanted, now)
        effects = self._carriage.begin(way)
        for session in self._sessions:
            effects += self.register(session, now)
        if not way.home:
            effects += self._carriage.use_agent(way)
        return effects + [Said("info", text)]

    def suspend(self, now: int) -> None:
        """There is nobody to ask."""
        for session in self._sessions:
            session.registration.suspend(now)

    def register(self, session: Session, now: int) -> list:
        """Ask for the session, unless there is nobody to ask, or the agent wants one request at a time."""
        agent = self._care_of.current
        if agent is None:
            return []
        if session.wanted and not self._plain.takes(session):
            session.registration.rest(now)
            return []
        if self._singly.must_wait(agent):
            session.registration.suspend(now)  # until _next_singly
            return []
        if agent.home and session.wanted:
            return self._come_home(session, agent, now)
        if session.wanted:
            return self.follow(session, session.registration.register(agent, now), now)
        return self.follow(session, session.registration.go_on(agent, now), now)

    def _come_home(self, session: Session, agent: Agent, now: int) -> list:
        """With the address it has, for which ARP is answered before the request goes; without one, get one first."""
        registration = session.registration
        if registration.has_home():
            said = registration.register(agent, now)
            return ([] if session.attached else self._attach(session, now)) + self.follow(session, said, now)
        way = self._care_of.to_ask_from_home(self._sessions.any_address())
        if way is None:
            registration.suspend(now)  # until ask_again
            return []
        return self.follow(session, registration.register(way, now), now)

    def ask_again(self, now: int) -> list:
        """For sessions that nobody was asked for, because at home there was no address to ask from."""
        effects = []
        for session in self._sessions:
            if session.wanted and session.registration.agent is None:
                effects += self.register(session, now)
        return effects

    def deregister(self, session: Session, now: int) -> list:
        return self.follow(session, session.registration.deregister(now), now)

    def give_back(self, now: int) -> list:
        """Nothing can be carried from here: the home agent need not send it, and no device is to believe that it is."""
        effects = []
        for session in self._sessions:
            if session.registration.is_asked_for:
                effects += session.detach() + self.deregister(session, now)
        return effects

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        times = [one.registration.deadline() for one in self._sessions]
        times = [time for time in times if time is not None]
        return min(times) if times else None

    def wake(self, now: int) -> list:
        effects = []
        for session in self._sessions:
            due = session.registration.deadline()
            if due is not None and due <= now:
                self._singly.note_silence(session)
                effects += self.follow(session, session.registration.wake(now), now) + self._next_singly(now)
        return effects

    def follow(self, session: Session, said: list, now: int) -> list:
        """Act on what a session's registration answered with; give back what is for the runtime."""
        effects = []
        for one in said:
            if type(one) is Granted:
                effects += self._granted(session, now)
            elif type(one) is Ended:
                effects += self._ended(session, one, now)
            elif type(one) is Returned:
                effects += self._returned(session, now)
            elif type(one) is Unnamed:
                effects += self._unnamed(session, one.home_address, now)
            elif type(one) is Refused:
                effects += self._refused(session, one, now)
            else:
                effects.append(one)
        return effects

    def _next_singly(self, now: int) -> list:
        session = self._singly.next(self._care_of.current)
        return [] if session is None else self.register(session, now)

    def _granted(self, session: Session, now: int) -> list:
        registration, way = session.registration, self._care_of.current
        self._care_of.is_with(registration.home_agent)
        if way is not None and way.home:  # with the address it has now
            return self.register(session, now)
        self._handoffs.registered(now)
        effects = []
        if not session.is_as_granted():
            effects += self._dispossess(session, now) + self._attach(session, now)
            effects.append(
                Said("info", "registered sub_nai=%s home=%s lifetime=%ds"
                     % (session.sub_nai or "-", show(session.attached), registration.lifetime))
            )  # fmt: skip
        effects += self._carriage.granted(registration, way, now)
        return effects + answer_waiting(session, now) + self._next_singly(now)

    def _returned(self, session: Session, now: int) -> list:
        self._handoffs.registered(now)
        effects = [] if session.is_as_granted() else self._attach(session, now)
        text = "at home sub_nai=%s home=%s" % (session.sub_nai or "-", show(session.attached))
        return effects + [Said("info", text)] + answer_waiting(session, now) + self.ask_again(now)

    def _attach(self, session: Session, now: int) -> list:
        effects = self._sessions.attach(session)
        if session.kind == OWN:
            effects += self._carriage.use_agent(self._care_of.current)
        if session.kind == DEVICE:
            session.lease_ends = session.registration.ours_until(now)
        return effects

    def _dispossess(self, session: Session, now: int) -> list:
        """The address that `session` was granted is no longer that of another one, which has heard nothing of it yet:

        its binding ended at the home agent, and the pool is small. It asks for an address anew.
        """
        effects = []
        for other in self._sessions:
            if other is not session and other.attached == session.registration.home_address:
                other.registration.lose()
                effects += other.detach() + self.register(other, now)
        return effects

    def _ended(self, session: Session, ended: Ended, now: int) -> list:
        effects = session.detach()
        if ended.wanted:
            return effects + (self.register(session, now) if session.registration.agent is None else [])
        if session.wanted:  # it came back while it was leaving
            return effects + self.register(session, now) + self._carry_on(session, now)
        self._sessions.remove(session)
        if self._plain.left(session):
            for other in self._sessions:
                effects += self.register(other, now)
        return effects + [self._sessions.remember()] + self._carry_on(session, now) + self._next_singly(now)

    def _unnamed(self, session: Session, home_address: int, now: int) -> list:
        """A home agent that knows no sub-NAI took the session for the node: the address goes back, unless it is held

        by another session, which the home agent has now confused with this one. One session is carried, the others not.
        """
        effects = self._plain.found(session, list(self._sessions))
        if not home_address:  # a deregistration: what it may have undone is asked for again when it has ended
            return effects
        registration = session.registration
        carried = self._plain.takes(session)
        if carried and registration.is_valid(now) and registration.home_address == home_address:
            return effects + self.register(session, now)
        if not carried:
            effects += self._refuse(session)
        for other in self._sessions:
            held = other.registration
            if other is not session and held.is_valid(now) and held.home_address == home_address:
                registration.rest(now)
                return effects + self.follow(session, [Ended(False)], now)
        return effects + session.detach() + self.follow(session, registration.renounce(home_address, now), now)

    def _refuse(self, session: Session) -> list:
        """There is no room for the session at its home agent. A device may ask again; the rest waits for its place."""
        effects = session.detach()
        if session.kind == DEVICE:
            session.unwanted()
        text = "session %s is refused: its home agent carries another one alone" % (session.sub_nai or "-")
        return effects + [Said("warning", text)]

    def _carry_on(self, ended: Session, now: int) -> list:
        """Another session's end may have ended that of the one that is carried, at a home agent that confuses them."""
        carried = self._plain.carried
        if carried is None or carried is ended or not self._plain.full(ended.registration.home_agent):
            return []
        return [] if carried.registration.state == LEAVING else self.register(carried, now)

    def _refused(self, session: Session, refused: Refused, now: int) -> list:
        """An agent that will not have us: try the next one, if there is one."""
        agent = session.registration.agent
        if refused.one_at_a_time and agent is not None:
            self._singly.mark(agent)
        if agent is not None and refused.code in _ELSEWHERE and self._care_of.avoid(now):
            return self.move(now)
        if refused.code in STYLES:
            return self._carriage.use_agent(self._care_of.current) + self._next_singly(now)
        return self._next_singly(now)
