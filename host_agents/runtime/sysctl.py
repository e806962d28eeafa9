"""What the kernel must be told before it can route for an agent, checked at start-up and by `check`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_IPV4 = Path("/proc/sys/net/ipv4")
_STRICT, _LOOSE = 1, 2


def complaints(device: str, links: Iterable[str] = ()) -> list[str]:
    """One line per setting that would lose packets, each saying what to set; none: the router is ready.

    links: visited ones of a foreign agent, home ones of a home agent.
    """
    found = []
    if _read("ip_forward") != 1:
        found.append("this machine does not forward: set net.ipv4.ip_forward=1")
    for interface in (device, *links):
        if _reverse_path(interface) == _STRICT:
            found.append(
                f"{interface} drops packets whose source is routed elsewhere: set net.ipv4.conf.{interface}.rp_filter=2"
            )
    for interface in links:
        # Redirects would send a mobile node past its agent, on which its devices depend even at home. Either of the two
        # settings turns them on.
        for one in ("all", interface):
            if _read(f"conf/{one}/send_redirects"):
                found.append(f"{interface} sends ICMP redirects: set net.ipv4.conf.{one}.send_redirects=0")
    return found


def accept_tunnelled_sources(device: str) -> None:
    """Our own device may not filter sources strictly. Where we cannot set that, complaints() still says so."""
    if _reverse_path(device) == _STRICT:
        try:
            (_IPV4 / "conf" / device / "rp_filter").write_text(f"{_LOOSE}\n")
        except OSError:
            return


def _reverse_path(interface: str) -> int:
    """The greater of the two settings holds (ip-sysctl)."""
    return max(_read("conf/all/rp_filter"), _read(f"conf/{interface}/rp_filter"))


def _read(setting: str) -> int:
    """0 for an interface that is not there, about which others complain."""
    try:
        return int((_IPV4 / setting).read_text())
    except OSError:
        return 0
