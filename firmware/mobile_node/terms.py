"""What one session's requests ask for (RFC 5944 §3.6.1.3), and what they ask for instead once that was denied."""

from mip4.address import is_unicast
from mip4.compat import const
from mip4.const import (
    ADVERT_T,
    ANY,
    BROADCAST,
    CONFIG_REQUEST,
    FA_LIFETIME,
    FA_REVERSE_TUNNEL,
    FA_REVERSE_TUNNEL_MANDATORY,
    FLAG_D,
    FLAG_G,
    FLAG_M,
    FLAG_S,
    FLAG_T,
    HA_REDIRECTED,
    HA_REVERSE_TUNNEL,
    HA_REVERSE_TUNNEL_MANDATORY,
    HA_TOO_MANY_BINDINGS,
    HA_UDP_ENCAPSULATION,
    HA_UNKNOWN_HOME_AGENT,
    PROTO_IPIP,
    REDIRECTED_HOME_AGENT,
    REQUESTED_HOME_AGENT,
)
from mip4.extensions import HomeAgentAddress, Nai, UdpTunnelRequest, find, host_configuration
from mip4.messages import RegistrationRequest
from mip4.sub_nai import SubNai
from mobile_node.wishes import KINDS_OF_TUNNEL

_LEFT_OPEN = (ANY, BROADCAST)  # a Home Agent field that leaves the choice to others (RFC 4433)
_REDIRECTIONS = const(7)  # as many and one are remembered


class Terms:
    """Of one session. node: what all registrations of a node share.

    home_agent: of whom it is asked. replacing: whether earlier care-of addresses have to go, whatever is wished for.
    """

    def __init__(self, node):
        self._node = node
        self.home_agent = node.home_agent
        self.replacing = False
        self._requested = node.requested_home_agent
        self._wished = False  # whether the last request asked for a kind of tunnel
        self.begin()

    @property
    def left_open(self) -> bool:
        """Whether others have the choice of our home agent."""
        return self.home_agent in _LEFT_OPEN

    def begin(self) -> None:
        """With another agent, or anew with the same: what was denied for that agent's sake may be had now."""
        self._most = self._node.lifetime
        self._reverse = self._node.reverse_tunnel
        self._udp = True
        self._redirecting = ()  # home agents that sent us elsewhere

    def assigned(self, reply) -> None:
        """An accepted reply names the home agent, for the whole session (RFC 4433 §5.1)."""
        if self.left_open and reply.lifetime:
            self.home_agent = reply.home_agent

    def end(self) -> None:
        """The session is over, and so is the part of a home agent that others chose."""
        if self._node.home_agent in _LEFT_OPEN:
            self.home_agent = self._node.home_agent
            self._requested = self._node.requested_home_agent
            self._redirecting = ()

    def denied(self, reply, believed: list, request) -> bool:
        """`request` was denied: ask for what can be had. Whether that is another request, which need not wait long."""
        code = reply.code
        if code == FA_LIFETIME and 0 < reply.lifetime < request.lifetime:
            self._most = reply.lifetime
        elif code == HA_UNKNOWN_HOME_AGENT and reply.home_agent:
            self.home_agent = reply.home_agent
        elif code == HA_REDIRECTED:
            return self._is_new(reply.home_agent, believed)
        elif code == HA_TOO_MANY_BINDINGS and request.flags & FLAG_S:
            self.replacing = True
            return True
        elif code in (FA_REVERSE_TUNNEL, HA_REVERSE_TUNNEL):
            self._reverse = False
        elif code in KINDS_OF_TUNNEL:
            return self._wished
        elif code in (FA_REVERSE_TUNNEL_MANDATORY, HA_REVERSE_TUNNEL_MANDATORY):
            self._reverse = True
        elif code == HA_UDP_ENCAPSULATION:
            self._udp = False
        return False

    def _is_new(self, redirecting: int, believed: list) -> bool:
        """Note where a home agent sends us (RFC 4433 §5.1), unless we have been there: they go in circles."""
        found = [one.address for one in find(believed, HomeAgentAddress) if one.sub_type == REDIRECTED_HOME_AGENT]
        self._redirecting = self._redirecting[-_REDIRECTIONS:] + (redirecting,)
        if not self.left_open or not found or found[0] in self._redirecting or not is_unicast(found[0]):
            return False
        self._requested = found[0]
        return True

    def lifetime(self, agent) -> int:
        """Seconds to ask `agent` for; at home 0."""
        return 0 if agent.home else min(self._most, agent.lifetime)

    def request(self, registration, lifetime: int, identification: int) -> RegistrationRequest:
        """One that was never sent before, up to its authenticators, for the agent of `registration`."""
        node, agent = self._node, registration.agent
        # What decapsulates itself also encapsulates itself; an agent may do it or not
        reverse = agent.co_located or (self._reverse and agent.flags & ADVERT_T)
        care_of_address = agent.co_located or agent.care_of_address
        wanted = node.wishes.flags(agent, registration) & (~FLAG_S if self.replacing else 0xFF)
        if agent.home:
            care_of_address, wanted = registration.home_address, 0
        elif not lifetime:
            care_of_address = node.wishes.care_of_address_to_leave(registration.home_address) or care_of_address
        return RegistrationRequest(
            flags=(FLAG_T if reverse else 0) | (FLAG_D if agent.co_located else 0) | wanted,
            lifetime=lifetime,
            home_address=0 if self.left_open else registration.home_address,
            home_agent=self.home_agent,
            care_of_address=care_of_address,
            identification=identification,
            extensions=self._extensions(agent, registration.told, lifetime),
        )

    def _extensions(self, agent, told: bytes, lifetime: int) -> list:
        """In the order that both agents read them in. told: a sub-NAI, b"" for none."""
        node = self._node
        extensions = [Nai(node.nai)]
        if told:
            inner = node.nai if node.sub_nai_type == 2 else None
            extensions.append(SubNai(told, node.sub_nai_vendor, inner).extension())
        if lifetime or agent.home:
            extensions.append(host_configuration(CONFIG_REQUEST, b"\0"))
        if self.left_open and self._requested:
            extensions.append(HomeAgentAddress(REQUESTED_HOME_AGENT, self._requested))
        if agent.co_located and not agent.link_address and self._udp:
            extensions.append(UdpTunnelRequest(node.force_udp, False, PROTO_IPIP))
        return extensions

    def for_agent(self, agent, request) -> list:
        """What goes with `request` for the agent alone: a delivery style, with a reverse tunnel (RFC 3024 §3.3)."""
        reverse = request.lifetime and request.flags & FLAG_T
        found = self._node.wishes.for_agent(agent) if reverse else []
        self._wished = bool(request.flags & (FLAG_G | FLAG_M) or found)
        return found
