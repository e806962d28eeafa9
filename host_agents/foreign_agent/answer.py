"""What a foreign agent says to nodes: replies passed on, denials of its own, and what it cannot carry (FA-41)."""

from __future__ import annotations

from host_agents.effects import Said, SendFrame, Visitor
from host_agents.foreign_agent.visitor_table import Pending, Session
from host_agents.limiter import Limiter
from mip4.address import show, show_link
from mip4.const import (
    BROADCAST,
    FA_HA_AUTHENTICATION,
    FA_LIFETIME,
    FA_RESOURCES,
    MESSAGE_FROM_FOREIGN_AGENT,
    PORT,
    code_name,
    is_from_home_agent,
)
from mip4.errors import Denied
from mip4.extensions import (
    ForeignAgentError,
    MessageString,
    MobileForeignAuthentication,
    MobileHomeAuthentication,
    Nai,
    find,
)
from mip4.ip import Datagram
from mip4.messages import RegistrationReply


def pass_on(pending: Pending, octets: bytes, home_address: int) -> SendFrame:
    """A reply to the node (FA-41): straight to its link-layer address, since it must not be asked for by ARP."""
    if pending.request.association is not None:
        octets = pending.request.association.sign(octets, MobileForeignAuthentication)
    destination = pending.source or home_address or BROADCAST
    datagram = Datagram(pending.destination, PORT, destination, pending.port, octets)
    return SendFrame(pending.interface, pending.link_address, datagram.packet(ttl=255).encode())


def cannot(pending: Pending, kept: bytes, home_address: int, reason: str) -> list[object]:
    """The home agent accepted but we cannot carry it: an FA Error behind its untouched reply (RFC 4636 §3)."""
    text = f"cannot carry {_show(pending.session)} home={show(home_address)}: {reason}"
    return [
        pass_on(pending, kept + ForeignAgentError(FA_RESOURCES).encode(), home_address),
        Said("warning", "refused", text),
    ]


class Denials:
    """Denials of our own, at most one a second for each session. lifetime: the most that is relayed, seconds."""

    def __init__(self, lifetime: int) -> None:
        self._lifetime = lifetime
        self._limiter = Limiter(1, 1000, 1)

    def deny(self, pending: Pending, denial: Denied, now: int) -> list[object]:
        """The reply and its log line. Text only where the node is known to be authentic."""
        if not self._allows(pending, now):
            return []
        message = pending.request.message
        lifetime = self._lifetime if denial.code == FA_LIFETIME else message.lifetime
        extensions = find(message.extensions, Nai)[:1]
        if pending.request.sub_nai is not None:
            extensions.append(pending.request.sub_nai.extension())
        if pending.request.association is not None:
            extensions.append(MessageString(MESSAGE_FROM_FOREIGN_AGENT, denial.text.encode()[:200]))
        reply = RegistrationReply(
            denial.code, lifetime, message.home_address, message.home_agent, message.identification, extensions
        )
        text = f"denied {_show(pending.session)} link={show_link(pending.link_address)} code={code_name(denial.code)}"
        return [
            pass_on(pending, reply.encode(), message.home_address),
            Said("info", f"denied-{denial.code}", f"{text}: {denial.text}"),
        ]

    def doubt(self, pending: Pending, reply: RegistrationReply, kept: bytes, now: int) -> list[object]:
        """68, behind a reply that its home agent has not signed for us (RFC 4636 §3).

        The node looks at it only if the home agent has signed the reply for the node: a forger cannot make it do so.
        """
        signed = is_from_home_agent(reply.code) and find(reply.extensions, MobileHomeAuthentication)
        if not signed or not self._allows(pending, now):
            return []
        return [pass_on(pending, kept + ForeignAgentError(FA_HA_AUTHENTICATION).encode(), reply.home_address)]

    def _allows(self, pending: Pending, now: int) -> bool:
        return self._limiter.allows((pending.link_address, *pending.session), now)


def describe(visitor: Visitor) -> str:
    """A visitor, for a log line."""
    return (
        f"{_show((visitor.nai, visitor.sub_nai))} home={show(visitor.home_address)} "
        f"home_agent={show(visitor.home_agent)} link={show_link(visitor.link_address)}"
    )


def _show(session: Session) -> str:
    return f"nai={session[0]} sub_nai={session[1]!r}"
