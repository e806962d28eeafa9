# On the board: the mobile node's engine, with a UDP socket for its links. What it would put on a link goes to the host
# in a datagram, its first octet saying what it is, and the host answers for the world: tests/hil/remote_node.py.
import gc
import json
import select
import socket
import struct
import time

from mip4 import effects
from mip4.const import ALL_ROUTERS, PORT, PROTO_ICMP
from mip4.discovery import AgentSolicitation
from mip4.ip import Datagram, Packet
from mobile_node.mobile_node import MobileNode


class Node:
    def __init__(self, config, host, port):
        self._peer = socket.getaddrinfo(host, port)[0][-1]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._began = time.ticks_ms()
        self._engine = MobileNode(config, 0, b"seed", [])
        self._effects = {}

    def _now(self):
        return time.ticks_diff(time.ticks_ms(), self._began)

    def _tell(self, kind, octets):
        self._socket.sendto(kind + octets, self._peer)

    def _do(self, said):
        for effect in said:
            name = type(effect).__name__
            self._effects[name] = self._effects.get(name, 0) + 1
            if isinstance(effect, effects.Solicit):
                solicitation = Packet(0, ALL_ROUTERS, PROTO_ICMP, 1, AgentSolicitation().encode())
                self._tell(b"F", solicitation.encode())
            elif isinstance(effect, effects.Send) and effect.link_address:
                datagram = Datagram(0, PORT, effect.destination, PORT, effect.datagram)
                self._tell(b"F", datagram.packet(ttl=255).encode())
            elif isinstance(effect, effects.Send):
                self._tell(b"D", effect.datagram)

    def serve(self):
        self._do(self._engine.start(0))
        self._tell(b"B", b"")
        while True:
            deadline = self._engine.deadline()
            wait = 1000 if deadline is None else min(1000, max(0, deadline - self._now()))
            if self._poll.poll(wait):
                octets = self._socket.recv(2048)
                if octets[:1] == b"Q":
                    return
                self._hear(octets[:1], octets[1:])
            deadline = self._engine.deadline()
            if deadline is not None and deadline <= self._now():
                self._do(self._engine.wake(self._now()))

    def _hear(self, kind, octets):
        engine, now = self._engine, self._now()
        if kind == b"U":
            self._do(engine.link_up(now))
        elif kind == b"L":
            self._do(engine.link_down(now))
        elif kind == b"A":
            self._do(engine.address(struct.unpack(">I", octets)[0], now))
        elif kind == b"D":
            self._do(engine.receive(octets[4:], struct.unpack(">I", octets[:4])[0], now))
        elif kind == b"F" and octets[6 + 9] == PROTO_ICMP:
            self._do(engine.heard(octets[6:], octets[:6], now))
        elif kind == b"F":
            datagram = Datagram.decode(Packet.decode(octets[6:]))
            self._do(engine.receive(datagram.payload, datagram.source, now))
        elif kind == b"?":
            gc.collect()
            status = engine.status(now)
            status["effects"], status["heap_used"] = self._effects, gc.mem_alloc()
            self._tell(b"S", json.dumps(status).encode())
