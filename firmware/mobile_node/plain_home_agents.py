"""Home agents that know no sub-NAI: each carries one session of ours, which then goes without its name (MN-18)."""

from mip4.address import show
from mip4.compat import const
from mip4.effects import Said

_REMEMBERED = const(8)


class PlainHomeAgents:
    """Which home agents those are, and the one session that is carried there, None while there is none."""

    def __init__(self):
        self.carried = None
        self._home_agents = []

    def takes(self, session) -> bool:
        """Whether the session's home agent has room for it; where nobody is carried yet, it is the one from now on."""
        if session.registration.home_agent not in self._home_agents:
            session.registration.named = True
            return True
        if self.carried is None:
            self._carry(session)
        return self.carried is session

    def full(self, home_agent: int) -> bool:
        """Whether a session more would be one too many for it."""
        return home_agent in self._home_agents and self.carried is not None

    def found(self, session, sessions: list) -> list:
        """The home agent of `session` accepted without its sub-NAI. What there is to say about that, once.

        Carried is the node itself, if it has a session of its own without a name, else who found out.
        """
        home_agent = session.registration.home_agent
        if home_agent in self._home_agents:
            return []
        self._home_agents = self._home_agents[1 - _REMEMBERED :] + [home_agent]
        others = [one for one in sessions if one is not session and one.wanted and not one.registration.sub_nai]
        for one in others + [session]:
            if one.wanted:
                self._carry(one)
                break
        return [Said("warning", "home agent %s knows no sub-NAI: it carries one session alone" % show(home_agent))]

    def left(self, session) -> bool:
        """The session is gone for good. True where its place is free now."""
        if self.carried is not session:
            return False
        self.carried = None
        return True

    def _carry(self, session) -> None:
        self.carried = session
        session.registration.named = False
