"""A socket that was told of an error is heard all the same, in the event loop that the daemons run in."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from host_agents.runtime.watching import watch_again, watch_no_more

_IP_RECVERR = 11


@pytest.mark.parametrize(("then", "expected"), [("goes on", [b"heard"]), ("stops", [])])
def test_what_comes_after_an_error_is_read_unless_nobody_wants_it(then: str, expected: list[bytes]) -> None:
    async def lives_through_it() -> list[bytes]:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        read: list[bytes] = []

        def drain() -> None:
            try:
                read.append(sock.recv(100))
                arrived.set()
            except OSError:  # port unreachable, from the kernel
                sock.recvmsg(100, 512, socket.MSG_ERRQUEUE)
                watch_again(loop, sock, drain)
                if then == "stops":
                    watch_no_more(loop, sock)
                failed.set()

        failed = asyncio.Event()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as other:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            loop.add_reader(sock, drain)
            other.bind(("127.0.0.1", 0))
            gone = other.getsockname()
            other.close()
            sock.sendto(b"to nobody", gone)
            await asyncio.wait_for(failed.wait(), 5)
            with socket.socket(type=socket.SOCK_DGRAM) as sender, socket.socket(type=socket.SOCK_DGRAM) as later:
                later.bind(("127.0.0.1", 0))
                later.setblocking(False)
                sender.sendto(b"heard", sock.getsockname())
                sender.sendto(b"after it", later.getsockname())
                await asyncio.wait_for(loop.sock_recv(later, 100), 5)
            if expected:
                await asyncio.wait_for(arrived.wait(), 5)
            loop.remove_reader(sock)
        return read

    assert uvloop.run(lives_through_it()) == expected
