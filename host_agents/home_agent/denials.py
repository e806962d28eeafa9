"""What a home agent says to those whom it does not register (RFC 5944 §3.8.2.1, §3.8.2.3)."""

from __future__ import annotations

from contextlib import suppress

from host_agents.effects import Said
from host_agents.home_agent.binding_table import MobilityBindingTable
from host_agents.home_agent.log_lines import show_session
from host_agents.home_agent.policy import Policy
from host_agents.home_agent.replay import Replay
from host_agents.home_agent.reply import answer
from host_agents.home_agent.request import Request, name, verify_foreign
from host_agents.limiter import Limiter
from mip4.address import show
from mip4.const import HA_IDENTIFICATION, HA_RESOURCES, code_name
from mip4.effects import Dropped
from mip4.errors import BadAuthenticator, Denied, MipError

_UNAUTHENTICATED_REPLIES = 10  # a second, to all the world


class Denials:
    """The reply, what has to be durable before it, and a line for the log. now: monotonic ms."""

    def __init__(self, policy: Policy, bindings: MobilityBindingTable, replay: Replay) -> None:
        self._policy = policy
        self._bindings = bindings
        self._replay = replay
        self._unauthenticated = Limiter(_UNAUTHENTICATED_REPLIES, 1000, 2 * _UNAUTHENTICATED_REPLIES)

    def not_authentic(self, request: Request, error: BadAuthenticator, now: int) -> list[object]:
        """131 or 144 (HA-07): always where a foreign agent vouches for having heard it, which no forger can do.

        Never to a foreign agent that has a key and did not use it. Else not to a flood, and never longer than the
        request, whose authenticator may be shorter than ours: whoever forged it gains nothing.
        """
        dropped = Dropped(error, request.source)
        try:
            signed = verify_foreign(request, self._policy)
        except MipError:
            return [dropped]
        with suppress(MipError):  # its sub-NAI, if it is one, goes back with the reply
            name(request, self._policy, self._bindings)
        message = request.message
        reply = answer(request, self._policy, error.home_code, message.lifetime, message.home_address)
        longer = len(reply.datagram) > len(request.datagram)
        if not signed and (longer or not self._unauthenticated.allows("", now)):
            return [dropped]
        return [dropped, reply]

    def deny(self, request: Request, denial: Denied, now: int) -> list[object]:
        """A denial of an authentic request; its Identification is used up, unless that is what was wrong with it."""
        message, session = request.message, request.session
        effects: list[object] = []
        replay = self._replay.of(session)
        if request.fresh:
            replay.denied(session, denial)
            effects.append(replay.row(session))
        if denial.code == HA_IDENTIFICATION:
            request.identification = replay.resynchronising(session, message.identification, now)
        effects.append(answer(request, self._policy, denial.code, message.lifetime, message.home_address, denial.text))
        text = f"denied {show_session(session)} care_of={show(message.care_of_address)} code={code_name(denial.code)}"
        effects.append(Said("info", f"denied-{denial.code}", f"{text}: {denial.text}"))
        return effects

    def cannot(self, request: Request, reason: str) -> list[object]:
        """130 for a request that was accepted, when the store or the kernel would not."""
        message, session = request.message, request.session
        request.identification = self._replay.of(session).answer(session, message.identification)
        denial = Denied(HA_RESOURCES, "cannot carry this")
        self._replay.of(session).denied(session, denial)
        reply = answer(request, self._policy, denial.code, message.lifetime, message.home_address, denial.text)
        text = f"denied {show_session(session)} code={code_name(denial.code)}: {reason}"
        return [reply, Said("warning", "refused", text)]
