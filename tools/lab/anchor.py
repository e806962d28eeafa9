"""The process that holds a place's namespaces: its network, its mounts, its host name (namespaces(7)).

What DHCP clients write is private to each: /etc/resolv.conf and new files beside it, /run, /var/lib.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from tools.lab.directory import RunDirectory
from tools.lab.errors import LabFailed
from tools.lab.processes import recorded

PROJECT = Path(__file__).resolve().parents[2]
_HIDDEN = ("/run", "/var/lib")
_IPV4 = "/proc/sys/net/ipv4/conf"

# $1 host name, $2 an empty folder, then SYSCTL=VALUE words, "--", and the folders below _HIDDEN that must stay visible.
# /etc is a folder of links to the machine's own, because dhclient's script writes a new file beside resolv.conf and
# renames it. Everything is put together under $2 and then laid over the machine's, which stays visible until then.
_SCRIPT = r"""
set -eu
exec 3>&1 >&2
busybox hostname "$1" # /proc/sys/kernel/hostname is not writable in a user namespace
new=$2
shift 2
while [ "$1" != -- ]; do
    [ ! -e "${1%%=*}" ] || echo "${1#*=}" >"${1%%=*}"
    shift
done
shift
ip link set lo up

mount -t tmpfs -o mode=755 lab "$new"
mkdir -p "$new/run/lock" "$new/run/etc" "$new/var/lib/dhcp" "$new/var/lib/dhcpcd" "$new/etc"
for kept in "$@"; do
    mkdir -p "$new$kept"
    mount --bind "$kept" "$new$kept"
done
mount --rbind /etc "$new/run/etc"
cd "$new/etc" # its path may be below what is laid over now
mount --rbind ../var/lib /var/lib
mount --rbind ../run /run
ln -s /run/etc/* .
rm -f resolv.conf
echo "# private to this namespace" >resolv.conf
mount --no-canonicalize --bind . /etc
cd /
mount -t sysfs sysfs /sys 2>/dev/null || true # a container may not; only /sys/class/net would be another one then

echo ready >&3
exec 3>&- </dev/null >/dev/null 2>&1
exec sleep infinity
"""


def sysctls(place: str) -> dict[str, str]:
    """What the kernel of this place must do: /proc path -> value. Set before it has interfaces, so that all inherit."""
    forwards = place in ("inet", "ha", "fa1", "fa2", "nat") or place.startswith("mn")
    strict = place == "inet"  # as a provider would: sources must be routed back the way they came (RFC 3704)
    both = {
        "rp_filter": "1" if strict else "0",
        "send_redirects": "0",
        "accept_redirects": "0",
    }
    values = {f"{_IPV4}/{scope}/{key}": value for scope in ("all", "default") for key, value in both.items()}
    values["/proc/sys/net/ipv4/ip_forward"] = "1" if forwards else "0"
    for scope in ("all", "default"):
        values[f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"] = "1"  # nothing here speaks it; captures stay readable
    return values


def _kept(run_directory: Path) -> list[str]:
    """Folders we need and would hide: the run directory, the project, the interpreters."""
    interpreters = [Path(sys.prefix), Path(sys.base_prefix)]
    if "MICROPYTHON" in os.environ:
        interpreters.append(Path(os.environ["MICROPYTHON"]).resolve().parent)
    needed = sorted({str(path.resolve()) for path in (run_directory, PROJECT, *interpreters)})
    hidden = [path for path in needed if any(path.startswith(root + "/") for root in _HIDDEN)]
    return [path for path in hidden if not any(path.startswith(other + "/") for other in hidden)]


def start(place: str, directory: RunDirectory) -> subprocess.Popen[str]:
    """Begin to make the namespaces of `place`; await_ready() says when they are there."""
    settings = [f"{path}={value}" for path, value in sysctls(place).items()]
    made = ["unshare", "--net", "--mount", "--uts", "--propagation", "private", "sh", "-c", _SCRIPT, "sh"]
    argv = [*made, place, str(directory / "mnt"), *settings, "--", *_kept(directory.path)]
    return subprocess.Popen(
        recorded(directory.record(place, "anchor"), argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(),
        cwd="/",
    )


def await_ready(anchors: Mapping[str, subprocess.Popen[str]]) -> None:
    """Raises LabFailed with what the first that failed said first."""
    for place, anchor in anchors.items():
        said = _line(anchor.stdout)
        if said != "ready":
            anchor.wait()
            reason = (anchor.stderr.read() if anchor.stderr else "").strip().splitlines() or ["it ended without a word"]
            raise LabFailed(f"the namespaces of {place}: {reason[0]}")
        for pipe in (anchor.stdout, anchor.stderr):
            if pipe is not None:
                pipe.close()


def _line(pipe: IO[str] | None) -> str:
    return pipe.readline().strip() if pipe is not None else ""


def inside(pid: int, argv: Iterable[str]) -> list[str]:
    """The command line that runs `argv` in the namespaces which process `pid` holds."""
    return ["nsenter", "--target", str(pid), "--net", "--mount", "--uts", "--", *argv]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, with the sbin folders in PATH (DHCP clients and their scripts) and the project importable."""
    values = dict(os.environ)
    path = [*values.get("PATH", "").split(":"), "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
    values["PATH"] = ":".join(dict.fromkeys(filter(None, path)))
    values["PYTHONPATH"] = f"{PROJECT}:{PROJECT / 'firmware'}"
    values.update(more or {})
    return values
