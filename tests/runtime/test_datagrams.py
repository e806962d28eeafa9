"""Datagrams that come and go together, over the kernel's own loopback."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from host_agents.runtime.datagrams import BATCH, LONGEST, Inbox, Outbox
from mip4.address import parse

LOOPBACK = parse("127.0.0.1")


@dataclass
class Ends:
    """Two sockets, and the port of each."""

    here: socket.socket
    there: socket.socket

    @property
    def port(self) -> int:
        return int(self.here.getsockname()[1])

    @property
    def peer(self) -> int:
        return int(self.there.getsockname()[1])

    def received(self) -> list[tuple[bytes, int, int, int]]:
        inbox = Inbox()
        inbox.receive(self.here.fileno())
        return [(bytes(payload), source, port, tos) for payload, source, port, tos in inbox]


@pytest.fixture
def ends() -> Iterator[Ends]:
    with ExitStack() as held:
        made = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for one in made:
            one.bind(("127.0.0.1", 0))
            one.settimeout(5)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        yield Ends(*made)


def test_all_that_has_come_is_taken_at_once_with_where_it_came_from(ends):
    for payload in (b"one", b"", b"three"):
        ends.there.sendto(payload, ("127.0.0.1", ends.port))

    assert ends.received() == [(payload, LOOPBACK, ends.peer, 0) for payload in (b"one", b"", b"three")]
    assert ends.received() == []


def test_more_than_a_batch_takes_a_second_call(ends):
    for number in range(BATCH + 1):
        ends.there.sendto(b"%d" % number, ("127.0.0.1", ends.port))

    assert [len(ends.received()) for _ in range(3)] == [BATCH, 1, 0]


def test_a_short_datagram_after_a_long_one_is_as_long_as_it_is(ends):
    inbox = Inbox()
    for payload in (bytes(9000), b"short"):
        ends.there.sendto(payload, ("127.0.0.1", ends.port))
        inbox.receive(ends.here.fileno())
        assert [bytes(one) for one, *_ in inbox] == [payload]


def test_the_type_of_service_is_told_to_a_socket_that_asks(ends):
    ends.here.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS
    ends.there.sendto(b"plain", ("127.0.0.1", ends.port))
    ends.there.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
    ends.there.sendto(b"urgent", ("127.0.0.1", ends.port))

    assert [tos for *_, tos in ends.received()] == [0, 0xB8]


def test_what_waits_leaves_together_in_order_and_is_sent_once(ends):
    outbox = Outbox()
    payloads = [bytes([number]) * (LONGEST if number == 1 else number) for number in range(BATCH)]
    for payload in payloads:
        outbox.put(payload, LOOPBACK, ends.peer)
    assert len(outbox) == BATCH

    assert outbox.send(ends.here.fileno()) == []
    assert outbox.send(ends.here.fileno()) == []

    assert [ends.there.recv(4096) for _ in payloads] == payloads
    assert len(outbox) == 0
    assert ends.there.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_one_that_cannot_leave_is_told_and_holds_up_no_other(ends):
    outbox, nobody = Outbox(), parse("255.255.255.255")  # which takes SO_BROADCAST
    outbox.put(b"before", LOOPBACK, ends.peer)
    outbox.put(b"never", nobody, 9)
    outbox.put(b"after", LOOPBACK, ends.peer)

    assert outbox.send(ends.here.fileno()) == [(errno.EACCES, b"never", nobody, 9)]

    assert [ends.there.recv(4096) for _ in range(2)] == [b"before", b"after"]


def test_what_an_earlier_datagram_met_with_is_no_fault_of_the_next(ends):
    ends.here.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR: ICMP is told on the next call
    outbox = Outbox()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    outbox.put(b"to nobody", LOOPBACK, port)
    assert outbox.send(ends.here.fileno()) == []
    outbox.put(b"to somebody", LOOPBACK, ends.peer)

    assert outbox.send(ends.here.fileno()) == []
    assert ends.there.recv(4096) == b"to somebody"
