"""The uplink's own address by DHCP: busybox udhcpc behind two named pipes, so that no handoff waits for a fork."""

import os

from mip4.address import parse
from runtime.errors import KernelRefused
from runtime.sockets import readable

_SCRIPT = __file__[: __file__.rindex("/")] + "/udhcpc.sh"


class DhcpClient:
    """Make it before any socket: what is open when it starts its shell stays open there.

    The shell and udhcpc end with the node, however that ends, because its end of a pipe closes then.
    """

    def __init__(self, interface: str):
        """Raises KernelRefused."""
        folder = "%s/entourage-%s" % (os.getenv("TMPDIR") or "/tmp", "".join(["%02x" % one for one in os.urandom(8)]))
        pipes = 'mkdir -m 700 "{0}" && mkfifo "{0}/commands" "{0}/events"'.format(folder)
        shell = 'sh "{1}" supervise {2} "{0}" <"{0}/commands" >"{0}/events" 2>/dev/null &'.format(
            folder, _SCRIPT, interface
        )
        if os.system(pipes) != 0 or os.system(shell) != 0:
            raise KernelRefused("starting the DHCP client: no named pipes in %s" % folder)
        # Opened for both directions, neither open nor read ever waits for the other side
        self._commands = open(folder + "/commands", "r+b")
        self._events = open(folder + "/events", "r+b")
        self._number = 0  # of the present start: what an earlier one still has to say no longer matters

    def start(self) -> None:
        """Look for an address from the beginning, as on a link that was never seen."""
        self._number += 1
        self._commands.write(b"start %d\n" % self._number)

    def stop(self) -> None:
        self._number += 1
        self._commands.write(b"stop\n")

    async def follow(self, found) -> None:
        """Call found(address, prefix length, router) for ever; noughts when the lease is lost. Raises KernelRefused."""
        while True:
            await readable(self._events)
            words = self._events.readline().decode().split()
            if words and words[0] == "missing":
                raise KernelRefused("no %s: the uplink gets no address by DHCP" % words[1])
            if len(words) < 2 or words[1] != str(self._number):
                continue
            if words[0] == "lease" and len(words) >= 5:
                found(parse(words[2]), int(words[3]), parse(words[4]))
            elif words[0] == "lost":
                found(0, 0, 0)
