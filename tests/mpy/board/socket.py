"""`socket` as MicroPython 1.29 for ESP32 has it on lwIP, with its traps, over the sockets of Linux."""

import errno
import io
import os

import air
import usocket

AF_INET, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 2, 1, 2, 3
SOL_SOCKET, SO_REUSEADDR, SO_BROADCAST, SO_BINDTODEVICE = 0xFFF, 4, 0x20, 0x100B
_LINUX = {(SOL_SOCKET, SO_REUSEADDR): (1, 2), (SOL_SOCKET, SO_BINDTODEVICE): (1, 25)}
_GET_FILENO = 10
_QUEUE = 6 * 2304  # octets that six packets of full length take in a queue of Linux
_refused = 0


def getaddrinfo(host, port, *more):
    return [(AF_INET, SOCK_STREAM, 0, "", (host, port))]


def _packed(address):
    return usocket.getaddrinfo(*address)[0][-1]


def _tuple(octets):
    _, host, port = usocket.sockaddr(octets)[:3]
    return "%d.%d.%d.%d" % tuple(host), port


class socket(io.IOBase):
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0, of=None):
        self._socket = of or usocket.socket(family, kind, protocol)
        if kind != SOCK_STREAM:
            self._socket.setsockopt(1, 6, 1)  # lwIP asks nobody whether broadcasts are meant
            self._socket.setsockopt(0, 2, int(os.getenv("TTL") or 64))
            self._socket.setsockopt(1, 8, _QUEUE // 2)

    def __getattr__(self, name):
        if name in ("read", "readinto", "readline", "write", "recv", "send", "setblocking", "listen", "close"):
            return getattr(self._socket, name)
        raise AttributeError(name)  # recv_into, getsockname, ...: not there

    def ioctl(self, request, argument):
        return self._socket.fileno() if request == _GET_FILENO else 0

    def setsockopt(self, level, option, value):
        if (level, option) not in _LINUX:
            print("Warning: lwip.setsockopt() option not implemented")
            return
        level, option = _LINUX[level, option]
        self._socket.setsockopt(level, option, value.encode() + b"\0" if isinstance(value, str) else value)

    def connect(self, address):
        self._socket.connect(_packed(address))

    def bind(self, address):
        self._socket.bind(_packed(address))

    def accept(self):
        client, address = self._socket.accept()
        return socket(of=client), _tuple(address)

    def recvfrom(self, size):
        octets, address = self._socket.recvfrom(size)
        return octets, _tuple(address)

    def sendto(self, octets, address):
        global _refused
        assert len(octets), "a blocking socket would never come back"
        if _refused < air.read().get("refused", 0):
            _refused += 1
            raise OSError(errno.ENOMEM)
        try:
            return self._socket.sendto(octets, _packed(address))
        except OSError as error:
            raise OSError(errno.ETIMEDOUT if error.errno == errno.EAGAIN else error.errno)
