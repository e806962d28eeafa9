"""What the node and agents say to each other, and the ends of its tunnels: sockets of one interface.

They outlive every link that the station has (RFC 5944 §2, RFC 1256, RFC 3519).
"""

from mip4.address import parse, show
from mip4.compat import const
from mip4.const import ALL_ROUTERS, ICMP_ADVERTISEMENT, PORT, PROTO_ICMP
from mip4.discovery import AgentSolicitation
from mip4.effects import Dropped, Send
from mip4.errors import Unexpected
from port_esp32.sockets import Outbox, raw
from port_esp32.tunnel import RawTunnel, UdpPort
from runtime.sockets import readable, would_block

_LONGEST = const(576)  # octets of an advertisement
_BATCH = const(6)  # packets per turn: as many as a socket's queue has on MicroPython's images


class Signalling:
    """hears: whether agents are of any use."""

    def __init__(self, config: dict, interface: str, hears: bool, outbox: Outbox):
        """Raises KernelRefused."""
        self._hears = hears
        self._outbox = outbox
        self._home = config["home_agent"].to_bytes(4, "big")
        self._icmp = raw(PROTO_ICMP, interface)
        self._port = UdpPort(interface)
        # Sockets are few: of protocols of their own there is the one that is asked for
        raw_kind = "gre" if config["encapsulation"] == "gre" else "ipip"
        self._tunnels = {"udp": self._port, raw_kind: RawTunnel(interface, raw_kind)}

    async def hear(self, runtime) -> None:
        """The source of advertisements. Tells "heard".

        A raw socket does not say which link address a packet came from. The agent's own address takes its place: the
        engine compares it and asks for it to be sent to, and lwIP finds the way by ARP.
        """
        while True:
            await readable(self._icmp)
            for _ in range(_BATCH):
                try:
                    octets = self._icmp.recvfrom(_LONGEST)[0]
                except OSError as error:
                    if not would_block(error):
                        raise
                    break
                header = (octets[0] & 15) * 4
                if octets[header] == ICMP_ADVERTISEMENT and not self._is_of_home(octets, header):
                    runtime.tell("heard", octets, octets[12:16])

    def _is_of_home(self, octets: bytes, header: int) -> bool:
        """Our home agent's own: to be at home would take ARP for the home addresses, which lwIP answers for nobody.

        Without it the home link is a visited one, and the tunnel begins and ends there.
        """
        if octets[12:16] == self._home:
            return True
        routers = octets[header + 8 : header + 8 + 8 * octets[header + 4]]
        return self._home in [routers[at : at + 4] for at in range(0, len(routers), 8)]

    def take(self, runtime, octets: bytes, host: str, port: int) -> None:
        """A message that came to UDP port 434. Tells "receive"."""
        if port != PORT:
            error = Unexpected("a registration message from UDP port %d" % port)
            runtime.run_effects([Dropped(error, parse(host))])
        else:
            runtime.tell("receive", octets, parse(host))

    def solicit(self) -> None:
        """Raises OSError. lwIP gives it the TTL of everything, so an agent that insists on 1 (§2.2) stays silent."""
        self._outbox.send(self._icmp, AgentSolicitation().encode(), (show(ALL_ROUTERS), 0))

    def send(self, effect: Send) -> None:
        """To an agent or, by the router, to the home agent: lwIP knows which is on the link. Raises OSError."""
        self._outbox.send(self._port.socket, effect.datagram, (show(effect.destination), PORT))

    def use_tunnel(self, home_agent: int, kind: str):
        """The tunnel of that kind, None for "". Raises OSError, KernelRefused."""
        for name, tunnel in self._tunnels.items():
            tunnel.use(home_agent, name == kind)
        return self._tunnels.get(kind)

    def sources(self, forwarder) -> list:
        """As port.py's."""
        found = [
            ("outbox", self._outbox.serve),
            (
                "UDP port 434",
                lambda runtime: self._port.serve(
                    runtime, forwarder, lambda octets, host, port: self.take(runtime, octets, host, port)
                ),
            ),
        ]
        if self._hears:
            found.append(("advertisements", self.hear))
        for kind, tunnel in self._tunnels.items():
            if tunnel is not self._port:
                found.append(("tunnel %s" % kind, lambda runtime, one=tunnel: one.serve(runtime, forwarder)))
        return found
