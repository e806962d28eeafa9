"""Agents that get one request at a time, since they cannot tell our sessions apart or have no room for all at once."""

from mip4.compat import const
from mobile_node.registration import IDLE
from mobile_node.sessions import Session, SessionTable

_REMEMBERED = const(8)


class OneAtATime:
    """Which agents those are, by care-of address, and whose turn it is there."""

    def __init__(self, sessions: SessionTable):
        self._sessions = sessions
        self._agents = []

    def __len__(self) -> int:
        return len(self._agents)

    def mark(self, agent) -> None:
        if agent.care_of_address not in self._agents:
            self._agents = self._agents[1 - _REMEMBERED :] + [agent.care_of_address]

    def must_wait(self, agent) -> bool:
        """Whether another request is under way at `agent`. Who got no answer at first keeps nobody waiting."""
        if agent.care_of_address not in self._agents:
            return False
        return any([one.registration.in_first_try for one in self._sessions])

    def next(self, agent) -> Session | None:
        """The next session's turn at `agent`, which may be None."""
        if agent is not None and agent.care_of_address in self._agents:
            for session in self._sessions:
                if session.registration.agent is None and session.registration.state != IDLE:
                    return session
        return None

    def note_silence(self, session: Session) -> None:
        """A first registration unanswered while another was answered: that agent cannot tell our sessions apart."""
        registration = session.registration
        agent = registration.agent
        if agent is None or not registration.waiting or registration.home_address:
            return
        others = [one.registration for one in self._sessions if one is not session]
        if any([one.agent is not None and one.lifetime and not one.waiting for one in others]):
            self.mark(agent)
