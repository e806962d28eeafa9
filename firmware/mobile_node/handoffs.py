"""How long each handoff took, and which part of it: the link, the agent, the registrations."""

_KEPT = 8


class Handoffs:
    """The last handoffs, oldest first. Times: ms since the node started, None for what has not happened."""

    def __init__(self):
        self._list = []
        self._link_down = None
        self._link_up = None

    def link_down(self, now: int) -> None:
        self._link_down = now

    def link_up(self, now: int) -> None:
        self._link_up = now

    def began(self, agent: str, care_of_address: str, sessions: int, now: int) -> None:
        """An agent was chosen and the requests of `sessions` sessions go out."""
        self._list = self._list[1 - _KEPT :] + [
            {
                "agent": agent,
                "care_of_address": care_of_address,
                "link_down": self._link_down,
                "link_up": self._link_up,
                "requested": now,
                "first_reply": None,
                "last_reply": None,
                "sessions": sessions,
                "registered": 0,
            }
        ]
        self._link_down = self._link_up = None

    def registered(self, now: int) -> None:
        """One more session is back."""
        if self._list and self._list[-1]["registered"] < self._list[-1]["sessions"]:
            last = self._list[-1]
            last["registered"] += 1
            last["last_reply"] = now
            if last["first_reply"] is None:
                last["first_reply"] = now

    def status(self) -> list:
        return self._list
