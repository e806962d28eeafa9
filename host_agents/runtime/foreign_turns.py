"""How a foreign agent's turns are run: their data path does not wait for their rows."""

from __future__ import annotations

from host_agents.effects import RemoveDelivery, RemoveTunnel, RemoveVisitor, Said, SendDatagram, Turn
from host_agents.foreign_agent.carriage import CARRIAGE
from host_agents.foreign_agent.foreign_agent import ForeignAgent
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.turns import Turns


class ForeignTurns(Turns):
    """As Turns."""

    engine: ForeignAgent

    def take(self, turn: Turn, since: float = 0.0) -> None:
        """The data path first: packets come close behind the home agent's reply, and the disk may take its time.

        It promises nothing: what no row confirms is swept away at the next start.
        """
        rest: list[object] = []
        try:
            for effect in turn.effects:
                if isinstance(effect, CARRIAGE):
                    self.does[type(effect)](effect)
                else:
                    rest.append(effect)
        except KernelRefused as error:
            self.refuse(turn, "kernel-refused", str(error))
            self.alarm.look()
            return
        super().take(Turn(rest, turn.session), since)

    def is_due(self, effect: object) -> bool:
        """As of Unended: not of an address that has a visitor by now. What a frame had to say is stale."""
        if isinstance(effect, RemoveVisitor):
            return self.engine.visitors.find(effect.visitor.home_address) is None
        if isinstance(effect, RemoveDelivery | RemoveTunnel):
            return self.engine.visitors.find(effect.home_address) is None
        return isinstance(effect, Said | SendDatagram)
