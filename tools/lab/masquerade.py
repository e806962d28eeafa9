"""The address translator of the place `nat`: nftables, a home router's ways, and the means to make it forget.

It knows TCP, UDP and ICMP by their ports and identifiers and drops every other protocol, so that IP in IP does not pass
and a tunnel needs UDP (RFC 3519 §1). Nothing comes in that nothing asked for.
"""

from __future__ import annotations

import subprocess

from tools.lab import anchor
from tools.lab.directory import RunDirectory
from tools.lab.errors import LabFailed

# An unexpected packet must not get as far as a socket: the kernel would note it as a connection of the router's own,
# and the node's mapping to the same peer could then not keep its port.
_RULES = """
table ip lab
delete table ip lab
table ip lab {{
    chain forward {{
        type filter hook forward priority filter; policy accept;
        oifname "net0" meta l4proto != {{ tcp, udp, icmp }} counter drop
        iifname "net0" ct state != {{ established, related }} counter drop
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "net0" meta l4proto != icmp ct state != {{ established, related }} counter drop
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "net0" meta l4proto {{ tcp, udp }} masquerade {ports}
        oifname "net0" masquerade
    }}
}}
"""
# The kernel's connection tracking may be a module that comes with the rules: these exist only behind them.
_SETTLE = """
nft -f - || exit
for key in udp_timeout udp_timeout_stream; do
    echo "$1" >/proc/sys/net/netfilter/nf_conntrack_$key || exit
done
"""
_RANGES = 40


class Masquerade:
    """Of one place. pid: of what holds its namespaces. timeout: seconds that a UDP mapping outlives its last packet."""

    def __init__(self, directory: RunDirectory, place: str, pid: int, timeout: int) -> None:
        self._counted = directory / place / "rebindings"
        self._place = place
        self._pid = pid
        self._timeout = timeout

    def begin(self) -> None:
        """A source port is kept where it is free, as most home routers do. Raises LabFailed. So does rebind()."""
        self._put("")

    def rebind(self) -> None:
        """Every mapping is forgotten, as by a router that restarts; the next ones are to ports never used before."""
        number = int(self._counted.read_text()) + 1 if self._counted.exists() else 0
        self._counted.write_text(str(number))
        first = 20000 + 1000 * (number % _RANGES)
        self._put(f"to :{first}-{first + 999}")
        from pyroute2 import NFCTSocket

        with NFCTSocket(netns=f"/proc/{self._pid}/ns/net", flags=0) as conntrack:
            conntrack.flush()

    def _put(self, ports: str) -> None:
        argv = anchor.inside(self._pid, ["sh", "-c", _SETTLE, "sh", str(self._timeout)])
        rules = _RULES.format(ports=ports)
        done = subprocess.run(argv, input=rules, env=anchor.environment(), capture_output=True, text=True)
        if done.returncode:
            raise LabFailed(f"masquerading in {self._place}: {(done.stderr.splitlines() or ['nft failed'])[0]}")
