"""What a foreign agent says to nodes: replies passed on, denials of its own, and what it cannot carry (FA-41)."""

from __future__ import annotations

from collections.abc import Mapping

from host_agents.effects import Said, SendFrame, Visitor
from host_agents.foreign_agent.challenges import Challenges
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
    MobileForeignChallenge,
    MobileHomeAuthentication,
    Nai,
    find,
)
from mip4.ip import Datagram
from mip4.messages import RegistrationReply


def pass_on(pending: Pending, octets: bytes, home_address: int) -> SendFrame:
    """A reply to the node (FA-41): straight to its link-layer address, since it must not be asked for by ARP."""
    if pending.request.given:
        octets += MobileForeignChallenge(pending.request.given).encode()
    if pending.request.association is not None:
        octets = pending.request.association.sign(octets, MobileForeignAuthentication)
    destination = pending.source or home_address or BROADCAST
    datagram = Datagram(pending.destination, PORT, destination, pending.port, octets)
    return SendFrame(pending.interface, pending.link_address, datagram.packet(ttl=255).encode())


def cannot(pending: Pending, kept: bytes, home_address: int, reason: str, status: int = FA_RESOURCES) -> list[object]:
    """The home agent accepted but we cannot carry it: an FA Error behind its untouched reply (RFC 4636 §3)."""
    text = f"cannot carry {_show(pending.session)} home={show(home_address)}: {reason}"
    return [
        pass_on(pending, kept + ForeignAgentError(status).encode(), home_address),
        Said("warning", "refused", text),
    ]


class Denials:
    """Denials of our own, at most one a second for each session. lifetime: the most that is relayed, seconds.

    challenges: by visited link, where nodes have to answer one.
    """

    def __init__(self, lifetime: int, challenges: Mapping[str, Challenges]) -> None:
        self._lifetime = lifetime
        self._challenges = challenges
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
        if pending.request.authentic:
            extensions.append(MessageString(MESSAGE_FROM_FOREIGN_AGENT, denial.text.encode()[:200]))
        reply = RegistrationReply(
            denial.code, lifetime, message.home_address, message.home_agent, message.identification, extensions
        )
        octets = reply.encode()
        self._give(pending, octets)
        text = f"denied {_show(pending.session)} link={show_link(pending.link_address)} code={code_name(denial.code)}"
        return [
            pass_on(pending, octets, message.home_address),
            Said("info", f"denied-{denial.code}", f"{text}: {denial.text}"),
        ]

    def _give(self, pending: Pending, octets: bytes) -> None:
        """A challenge for the node's next request; to anybody's request only if the denial gets no longer than that."""
        request = pending.request
        challenges = self._challenges.get(pending.interface)
        if challenges is None:
            return
        request.given = challenges.give(request.node) if request.authentic else challenges.offer(request.node)
        longer = len(octets) + len(MobileForeignChallenge(request.given).encode()) > len(request.datagram)
        if longer and not request.authentic:
            request.given = b""

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
