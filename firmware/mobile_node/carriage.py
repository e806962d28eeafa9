"""What carries the packets of our home addresses: the agent of this link, our home link, or a tunnel from here."""

from mip4.effects import HandIn, LeaveHomeLink, Said, SendTunnelled, UseAgent, UseHomeLink, UseTunnel
from mobile_node.agent_discovery import Agent
from mobile_node.keepalive import Keepalive
from mobile_node.registration import Registration
from mobile_node.sessions import SessionTable, home_broadcast
from mobile_node.wishes import Wishes


class Carriage:
    """Answers with the effects that change it. A way is an Agent, as in care_of.py."""

    def __init__(self, home_agent: int, sessions: SessionTable, wishes: Wishes):
        self._home_agent = home_agent
        self._wishes = wishes
        self._sessions = sessions
        self._tunnel = None  # the UseTunnel in force, None while an agent carries our packets
        self._refused = None  # why the platform could not make it
        self._keepalive = Keepalive()
        self._home = False  # whether the home link is the way, and ARP is answered there

    def begin(self, way: Agent) -> list:
        """Another way, as far as it comes ahead of the requests that go there.

        A tunnel, since its packets have the same address to come from; and ARP, which at home is answered before the
        request and elsewhere no longer (RFC 5944 §4.6).
        """
        self._keepalive.stop()
        self._tunnel = self._refused = None
        if way.home:
            self._home = True
            return self.use_agent(way)
        effects = self.leave_home()
        if way.co_located:
            self._tunnel = UseTunnel(way.co_located, self._home_agent, "", self._sessions.source(), 0)
            effects.append(self._tunnel)
        return effects

    def leave_home(self) -> list:
        """The uplink is on our home link no longer, if it was."""
        left, self._home = self._home, False
        return [LeaveHomeLink()] if left else []

    def use_agent(self, way: Agent | None) -> list:
        """The agent for a router, if there is no tunnel, with the home address that the node itself has now."""
        if way is None or self._tunnel is not None:
            return []
        if way.home:
            return [UseHomeLink(way.link_address, self._sessions.source())]
        using = [UseAgent(way.address, way.link_address, self._sessions.source())]
        return using + ([HandIn(way.address, way.link_address)] if self._wishes.hands_in(way) else [])

    def end(self) -> list:
        """There is no way. A tunnel whose address is gone drops what comes, until there is another."""
        self._keepalive.stop()
        if self._tunnel is None:
            return self.leave_home() + [UseAgent(0, b"", 0), Said("info", "no agent")]
        self._tunnel = None
        return [UseTunnel(0, self._home_agent, "", self._sessions.source(), 0), Said("info", "no address")]

    def has_tunnel(self) -> bool:
        """Whether there is one, or would be if the platform could make it."""
        return self._tunnel is not None and self._tunnel.kind != ""

    def refused(self, reason: str) -> list:
        """The platform could not make the tunnel: packets are dropped, and requests still find the home agent."""
        self._keepalive.stop()
        self._refused = reason
        self._tunnel = UseTunnel(self._tunnel.care_of_address, self._tunnel.home_agent, "", self._sessions.source(), 0)
        return [self._tunnel]

    def granted(self, registration: Registration, way: Agent | None, now: int) -> list:
        """The tunnel that the home agent has just granted or renewed."""
        if not registration.tunnel or registration.agent is None or way is None or not way.co_located:
            return []
        former, source = self._tunnel, self._sessions.source()
        heard = home_broadcast(registration) if registration.broadcasts else former.broadcast
        tunnel = UseTunnel(way.co_located, registration.home_agent, registration.tunnel, source, heard)
        self._tunnel = tunnel
        if (former.kind, former.home_agent) != (tunnel.kind, tunnel.home_agent):
            if tunnel.kind == "udp":
                self._keepalive.start(tunnel.home_agent, registration.keepalive, now)
            else:
                self._keepalive.stop()
        return [] if tunnel == former else [tunnel]

    def answered(self, packet: bytes, now: int) -> None:
        """A packet from the tunnel that the home agent itself sent. Raises MipError unless it answers a keepalive."""
        self._keepalive.answered(packet, now)

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        return self._keepalive.deadline()

    def wake(self, now: int) -> tuple:
        """(effects, sessions without an answer): the NAT in between has forgotten those."""
        due = self._keepalive.deadline()
        if due is None or due > now:
            return [], []
        sessions = [one for one in self._sessions if one.attached and one.registration.is_valid(now)]
        packets, lost = self._keepalive.wake([one.attached for one in sessions], now)
        return [SendTunnelled(packet) for packet in packets], [one for one in sessions if one.attached in lost]

    def status(self) -> dict:
        """tunnel: its kind, None without one; tunnel_refused: why. keepalive: seconds between, 0 without."""
        return {
            "tunnel": self._tunnel.kind or None if self._tunnel else None,
            "tunnel_refused": self._refused,
            "keepalive": self._keepalive.seconds,
        }
