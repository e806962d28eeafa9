"""Keepalives of a UDP tunnel (RFC 3519 §4.4): an ICMP echo to the home agent from each home address, inside the tunnel.

They go whether or not devices send, because what is sent proves nothing: only an answer shows that the home agent still
finds the way back through the NAT. Each home address has its own tunnel there, and asks for itself.
"""

from mip4.address import show
from mip4.compat import const
from mip4.const import ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, PROTO_ICMP
from mip4.cursor import Cursor, pack
from mip4.errors import Unexpected
from mip4.ip import Packet, checksum

_IDENTIFIER = const(0x4D49)
_TEXT = b"keep"
_USUAL = const(110)  # seconds (RFC 3519 §4.4), where the home agent names no other
_SHORTEST = const(10)
_RETRY = const(1000)  # ms
_TRIES = const(3)


class Keepalive:
    """Asks in rounds, `seconds` apart; a round is asked up to three times, a second apart, and then is lost."""

    def __init__(self):
        self.seconds = 0
        self._home_agent = 0
        self._next = None
        self._sequence = 0
        self._tries = 0
        self._waiting = []  # home addresses that have not been answered in this round

    def start(self, home_agent: int, seconds: int, now: int) -> None:
        """A tunnel begins. seconds: between rounds; 0: as usual."""
        self._home_agent = home_agent
        self.seconds = max(seconds or _USUAL, _SHORTEST)
        self._waiting = []
        self._next = now + self.seconds * 1000

    def stop(self) -> None:
        self.seconds = 0
        self._waiting = []
        self._next = None

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        return self._next

    def wake(self, addresses: list, now: int) -> tuple:
        """(packets for the tunnel, home addresses that nobody answers). addresses: of all that the tunnel is for."""
        if self._next is None or self._next > now:
            return [], []
        if not self._waiting:
            self._waiting = list(addresses)
            self._tries = 0
            self._sequence = self._sequence + 1 & 0xFFFF
        lost = []
        if self._tries >= _TRIES:
            lost = [one for one in self._waiting if one in addresses]
            self._waiting = []
            if lost:  # the NAT forgets sooner than we thought
                self.seconds = max(self.seconds // 2, _SHORTEST)
        self._waiting = [one for one in self._waiting if one in addresses]
        self._tries += 1
        self._next = now + (_RETRY if self._waiting else self.seconds * 1000)
        return [self._packet(one) for one in self._waiting], lost

    def answered(self, packet: bytes, now: int) -> None:
        """An IPv4 packet from the tunnel. Raises MipError unless it is the answer to one of ours."""
        answer = Packet.decode(packet)
        cursor = Cursor(answer.payload)
        kind, code, _, identifier, sequence = cursor.fixed("BBHHH")
        if (answer.source, answer.protocol, kind, code) != (self._home_agent, PROTO_ICMP, ICMP_ECHO_REPLY, 0):
            raise Unexpected("no answer to a keepalive")
        if (identifier, sequence) != (_IDENTIFIER, self._sequence) or answer.destination not in self._waiting:
            raise Unexpected("an answer to a keepalive of %s that was not waited for" % show(answer.destination))
        self._waiting = [one for one in self._waiting if one != answer.destination]
        if not self._waiting:
            self._next = now + self.seconds * 1000

    def _packet(self, home_address: int) -> bytes:
        head = pack("BBHHH", ICMP_ECHO_REQUEST, 0, 0, _IDENTIFIER, self._sequence)
        message = head[:2] + pack("H", checksum(head + _TEXT)) + head[4:] + _TEXT
        return Packet(home_address, self._home_agent, PROTO_ICMP, 64, message).encode()
