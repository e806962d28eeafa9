"""The sub-NAI that a foreign agent supplies for a node that names no session: the node's link address."""

from __future__ import annotations

from host_agents.foreign_agent.policy import Policy
from host_agents.foreign_agent.request import Request
from host_agents.foreign_agent.visitor_table import VisitorTable
from mip4.address import show_link
from mip4.const import FLAG_D
from mip4.sub_nai import SubNai


def supply(request: Request, link_address: bytes, visitors: VisitorTable, policy: Policy) -> bytes:
    """Name the session of a node that does not: the sub-NAI extension to be signed for the home agent, if any.

    Without our signature nobody would believe it. A deregistration carries none (RFC 5944 §3.5.4): there the home
    agent goes by the home address, and so do we.
    """
    message, (nai, named) = request.message, request.session
    if not policy.sub_nai_from_link or not nai or named or message.flags & FLAG_D:
        return b""
    sub_nai = SubNai(show_link(link_address).encode(), policy.sub_nai_vendor, None)
    session = (nai, sub_nai.sub_nai.decode())
    if not message.lifetime:
        visitor = visitors.find(message.home_address)
        if visitor is not None and (visitor.nai, visitor.sub_nai) == session:
            request.session = session
        return b""
    if request.home_agent not in policy.home_agents or message.care_of_address != policy.care_of_address:
        return b""
    request.session = session
    return bytes(sub_nai.extension().encode())
