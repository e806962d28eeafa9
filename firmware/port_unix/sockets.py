"""Packet and UDP sockets of the unix port, with filters that keep the devices' bulk traffic out of Python."""

import errno
import socket
import struct

import uctypes

from mip4.const import ICMP_ADVERTISEMENT, PORT, PROTO_ICMP, PROTO_UDP, TUNNEL_DATA
from port_unix.netlink import error_name
from runtime.errors import KernelRefused

_AF_PACKET = 17
_SOCK_RAW = 3
_SOL_SOCKET = 1
_SO_BINDTODEVICE = 25
_SO_ATTACH_FILTER = 26
_SO_RCVBUF, _SO_RCVBUFFORCE = 8, 33
_QUEUE = 4 << 20  # octets that may wait for the forwarder
_SOL_PACKET = 263
_PACKET_VNET_HDR = 15
_VNET_HEADER = 10  # octets of struct virtio_net_hdr
_NEEDS_CHECKSUM = 1  # its flag for a packet of this machine whose checksum the kernel has not filled in
_ETHERNET = 14
_ETH_P_IP = 0x0800
ETH_P_ALL = 3
_LONGEST = 65535  # of TCP that the kernel left to a network card to cut
_MSG_PEEK = 2
_NO_OFFLOAD = bytes(_VNET_HEADER)
_FRAME = 2048  # octets: more than any registration message or advertisement

# Classic BPF: (code, jump if true, jump if false, constant); offsets are those of an Ethernet frame
_LOAD_WORD, _LOAD_HALF, _LOAD_OCTET = 0x20, 0x28, 0x30
_LOAD_HALF_AT, _LOAD_OCTET_AT, _LOAD_HEADER_LENGTH = 0x48, 0x50, 0xB1
_EQUALS, _AT_LEAST, _HAS_BITS, _RETURN = 0x15, 0x35, 0x45, 0x06
_PACKET_TYPE = 0xFFFFF004
_ALL = 0x40000

SIGNALLING = [  # messages to UDP port 434 and ICMP router advertisements, for us, unfragmented
    (_LOAD_WORD, 0, 0, _PACKET_TYPE),
    (_EQUALS, 13, 0, 3),  # PACKET_OTHERHOST: seen only because the interface is promiscuous
    (_LOAD_HALF, 0, 0, 20),
    (_HAS_BITS, 11, 0, 0x3FFF),
    (_LOAD_HEADER_LENGTH, 0, 0, 14),
    (_LOAD_OCTET, 0, 0, 23),
    (_EQUALS, 3, 0, PROTO_UDP),
    (_EQUALS, 0, 7, PROTO_ICMP),
    (_LOAD_OCTET_AT, 0, 0, 14),
    (_EQUALS, 4, 5, ICMP_ADVERTISEMENT),
    (_LOAD_HALF_AT, 0, 0, 16),
    (_EQUALS, 0, 3, PORT),
    (_LOAD_OCTET_AT, 0, 0, 22),
    (_EQUALS, 1, 0, TUNNEL_DATA),  # packets, which another socket takes
    (_RETURN, 0, 0, _FRAME),
    (_RETURN, 0, 0, 0),
]
NOTHING = [(_RETURN, 0, 0, 0)]
NOT_OURS = [(_LOAD_WORD, 0, 0, _PACKET_TYPE), (_AT_LEAST, 1, 0, 3), (_RETURN, 0, 0, _FRAME), (_RETURN, 0, 0, 0)]
FOR_US = [(_LOAD_WORD, 0, 0, _PACKET_TYPE), (_EQUALS, 0, 1, 0), (_RETURN, 0, 0, _ALL), (_RETURN, 0, 0, 0)]
FOR_OTHERS = [(_LOAD_WORD, 0, 0, _PACKET_TYPE), (_EQUALS, 0, 1, 3), (_RETURN, 0, 0, _ALL), (_RETURN, 0, 0, 0)]
FOR_US_BUT_MESSAGES = [  # what FOR_US accepts, without what comes from UDP port 434
    (_LOAD_WORD, 0, 0, _PACKET_TYPE),
    (_EQUALS, 0, 8, 0),
    (_LOAD_OCTET, 0, 0, 23),
    (_EQUALS, 0, 5, PROTO_UDP),
    (_LOAD_HALF, 0, 0, 20),
    (_HAS_BITS, 3, 0, 0x1FFF),
    (_LOAD_HEADER_LENGTH, 0, 0, 14),
    (_LOAD_HALF_AT, 0, 0, 14),
    (_EQUALS, 1, 0, PORT),
    (_RETURN, 0, 0, _FRAME),
    (_RETURN, 0, 0, 0),
]
FROM_US = [  # IPv4 that this machine sends, on a socket of every ethertype
    (_LOAD_WORD, 0, 0, _PACKET_TYPE),
    (_EQUALS, 0, 3, 4),  # PACKET_OUTGOING
    (_LOAD_HALF, 0, 0, 12),
    (_EQUALS, 0, 1, _ETH_P_IP),
    (_RETURN, 0, 0, _FRAME),
    (_RETURN, 0, 0, 0),
]
# On a UDP socket offsets are those of the UDP header
TUNNEL_DATA_ONLY = [(_LOAD_OCTET, 0, 0, 8), (_EQUALS, 0, 1, TUNNEL_DATA), (_RETURN, 0, 0, _ALL), (_RETURN, 0, 0, 0)]


def packets_from(address: int) -> list:
    """A filter for a raw socket, where offsets are those of the IP header."""
    return [(_LOAD_WORD, 0, 0, 12), (_EQUALS, 0, 1, address), (_RETURN, 0, 0, _ALL), (_RETURN, 0, 0, 0)]


def attach_filter(sock, program: list) -> None:
    """Have the kernel drop what `program` does not accept. Raises OSError."""
    octets = b"".join([struct.pack("HBBI", *instruction) for instruction in program])
    sock.setsockopt(_SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), uctypes.addressof(octets)))


def bind_to_device(sock, interface: str) -> None:
    """Raises KernelRefused."""
    try:
        sock.setsockopt(_SOL_SOCKET, _SO_BINDTODEVICE, interface.encode() + b"\0")
    except OSError as error:
        raise KernelRefused("socket on %s: %s" % (interface, error_name(error.errno)))


def write(sock, buffer: bytearray, start: int, end: int) -> None:
    """buffer[start:end] to where a socket is bound or connected, without an object for the part. Raises OSError."""
    if sock.write(buffer, start, end - start) is None:
        raise OSError(errno.EAGAIN)


def socket_address(address: int, port: int) -> bytes:
    """struct sockaddr_in."""
    return struct.pack("H", socket.AF_INET) + struct.pack("!HI", port, address) + bytes(8)


class UdpSocket:
    """Datagrams to one port that arrive on one interface. It is deaf until bound, and can be bound again."""

    def __init__(self, port: int, program: list | None = None):
        """program: a filter. Raises KernelRefused."""
        self._port = port
        self._bound = False
        try:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if program is not None:
                attach_filter(self.socket, program)
        except OSError as error:
            raise KernelRefused("UDP socket: %s" % error_name(error.errno))
        self.socket.setblocking(False)

    def bind(self, interface: str) -> None:
        """To `interface`, which may have been made anew under the same name. Raises KernelRefused."""
        try:
            self.socket.setsockopt(_SOL_SOCKET, _SO_BINDTODEVICE, interface.encode() + b"\0")
            if not self._bound:
                self.socket.bind(struct.pack("H", socket.AF_INET) + struct.pack("!H", self._port) + bytes(12))
        except OSError as error:
            raise KernelRefused("UDP port %d on %s: %s" % (self._port, interface, error_name(error.errno)))
        self._bound = True


class PacketSocket:
    """Ethernet frames of one type. It is deaf and mute until bound, and can be bound again."""

    def __init__(self, program: list, ethertype: int = _ETH_P_IP):
        """program: the filter of what it receives. Raises KernelRefused."""
        self._type = struct.pack("!H", ethertype)
        try:
            self.socket = socket.socket(_AF_PACKET, _SOCK_RAW, 0)
            attach_filter(self.socket, program)
            self.socket.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        except OSError as error:
            raise KernelRefused("packet socket: %s" % error_name(error.errno))
        self.socket.setblocking(False)
        self._interface = b""
        self._link_address = b""
        self._header = self._header_to = b""  # of the last frame that was sent from a buffer, and where it went

    def bind(self, index: int, link_address: bytes) -> None:
        """To the interface `index`, which has `link_address`. Raises KernelRefused."""
        self._interface = struct.pack("H", _AF_PACKET) + self._type + struct.pack("i", index) + bytes(12)
        self._link_address = link_address
        self._header_to = b""
        try:
            self.socket.bind(self._interface)
        except OSError as error:
            raise KernelRefused("packet socket on interface %d: %s" % (index, error_name(error.errno)))

    def receive(self) -> tuple:
        """One frame: (packet, link address it came from, whether its checksum is filled in). Raises OSError."""
        octets = self.socket.recv(_VNET_HEADER + _FRAME)
        packet = octets[_VNET_HEADER + _ETHERNET :]
        return packet, octets[_VNET_HEADER + 6 : _VNET_HEADER + 12], not octets[0] & _NEEDS_CHECKSUM

    def listen(self, program: list) -> None:
        """Another filter, from now on. Raises OSError."""
        room = struct.pack("i", _QUEUE)
        try:
            self.socket.setsockopt(_SOL_SOCKET, _SO_RCVBUFFORCE, room)
        except OSError:  # in a user namespace nobody may have more than net.core.rmem_max
            self.socket.setsockopt(_SOL_SOCKET, _SO_RCVBUF, room)
        attach_filter(self.socket, program)

    def receive_all(self) -> tuple:
        """The next frame, whatever its length: (octets behind a virtio_net_hdr, link address). Raises OSError."""
        # Room for the longest would be made and cleared for every frame: look first which kind it is
        uncut = self.socket.recv(_VNET_HEADER, _MSG_PEEK)[1]  # pyright: ignore[reportCallIssue]
        octets = self.socket.recv(_VNET_HEADER + _ETHERNET + (_LONGEST if uncut else _FRAME))
        return octets, octets[_VNET_HEADER + 6 : _VNET_HEADER + 12]

    def send_from(self, buffer: bytearray, start: int, end: int, link_address: bytes) -> None:
        """A packet in a buffer with room before it. Makes no object for one that goes where the last one went.

        Raises OSError.
        """
        if link_address != self._header_to:
            self._header_to = link_address
            self._header = _NO_OFFLOAD + link_address + self._link_address + self._type
        at = start - _VNET_HEADER - _ETHERNET
        struct.pack_into("24s", buffer, at, self._header)
        write(self.socket, buffer, at, end)

    def send(self, link_address: bytes, packet: bytes) -> None:
        """Raises OSError."""
        frame = bytes(_VNET_HEADER) + link_address + self._link_address + self._type + packet
        self.socket.sendto(frame, self._interface)  # pyright: ignore[reportArgumentType]
