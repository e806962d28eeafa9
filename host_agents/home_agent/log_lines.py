"""What an operator reads about bindings: who was bound, has moved, or alternates between two places."""

from __future__ import annotations

from host_agents.effects import MobilityBinding, Said
from host_agents.home_agent.alternation import Alternation
from host_agents.home_agent.simultaneous import each
from host_agents.home_agent.tunnel import tunnel
from mip4.address import show

Session = tuple[str, str]


class LogLines:
    """Of registrations that were accepted."""

    def __init__(self) -> None:
        self._alternation = Alternation()

    def accepted(self, former: MobilityBinding | None, binding: MobilityBinding, now: int) -> list[object]:
        """Nothing of a mere renewal. former: what the session had before."""
        if former is None or former.home_address != binding.home_address:
            return [Said("info", "bound", f"bound {describe(binding)}")]
        if binding.care_of_address in [one.care_of_address for one in each(former)]:
            same = tunnel(former, 0).ends == tunnel(binding, 0).ends
            return [] if same else [Said("info", "rebound", f"rebound {describe(binding)}")]
        if binding.others:
            return [Said("info", "bound", f"bound {describe(binding)}")]
        session = (binding.nai, binding.sub_nai)
        said: list[object] = [Said("info", "moved", f"moved {describe(binding)}")]
        if self._alternation.moved(session, former.care_of_address, now):
            text = f"{show_session(session)} alternates between two care-of addresses: one sub-NAI on two nodes?"
            said.append(Said("warning", "alternates", text))
        return said


def show_session(session: Session) -> str:
    return f"nai={session[0]} sub_nai={session[1]!r}"


def describe(binding: MobilityBinding) -> str:
    """also: the other care-of addresses that it has at the same time."""
    udp = f" udp={show(binding.udp_remote)}:{binding.udp_port}" if binding.udp_remote else ""
    also = f" also={','.join(show(one.care_of_address) for one in binding.others)}" if binding.others else ""
    return (
        f"{show_session((binding.nai, binding.sub_nai))} home={show(binding.home_address)} "
        f"care_of={show(binding.care_of_address)}{udp}{also} lifetime={binding.lifetime}s"
    )
