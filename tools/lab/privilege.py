"""May we make namespaces? As root we just do; otherwise a user namespace lends us what it takes (user_namespaces(7)).

Decided by capability, not by uid: a root without capabilities is no root, and a container's uid 0 may be one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from pathlib import Path

from tools.lab.errors import LabFailed

TUN = Path("/dev/net/tun")
_NEEDED = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW", 21: "CAP_SYS_ADMIN"}
_CLONE_NEWUSER = 0x10000000
_FILES, _FILES_EACH = 100, 5  # open in this process: of its own, and for each place

_libc = ctypes.CDLL(None, use_errno=True)


def missing_capabilities() -> list[str]:
    """Names of those among the ones the lab needs that this process does not have."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
            return [name for bit, name in _NEEDED.items() if not effective >> bit & 1]
    raise LabFailed("/proc/self/status has no CapEff line")


def in_initial_user_namespace() -> bool:
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def outer_uid() -> int:
    """Our uid as the machine sees it, also from inside the user namespace that acquire() made."""
    uid = os.geteuid()
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, outside, count = (int(word) for word in line.split())
        if inside <= uid < inside + count:
            return outside + uid - inside
    return uid


def open_files(places: int) -> None:
    """Be allowed as many as a world of so many places takes: shells allow 1024. Raises LabFailed."""
    wanted = _FILES + _FILES_EACH * places
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        raise LabFailed(f"{places} places take {wanted} open files, and {most} are allowed here: ulimit -Hn")
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def acquire() -> None:
    """Have the capabilities the lab needs, if need be by moving this process into a user namespace of its own.

    Raises LabFailed, naming what is missing. The process must not have started threads.
    """
    missing = missing_capabilities()
    if not missing:
        return
    if not os.access(TUN, os.R_OK | os.W_OK):
        state = "not writable" if TUN.exists() else "missing"
        raise _lacking(missing, f"a user namespace and {TUN}, which is {state}")
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWUSER):
        number = ctypes.get_errno()
        reason = "user.max_user_namespaces allows no more" if number == errno.ENOSPC else os.strerror(number)
        raise _lacking(missing, f"a user namespace, which the kernel refuses: {reason}")
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError as error:  # a uid 0 without CAP_SETFCAP may not be mapped (Linux 5.12)
        raise _lacking(missing, f"a user namespace with uid {uid} in it: {error.strerror}")


def _lacking(missing: list[str], needed: str) -> LabFailed:
    remedy = "give it these capabilities" if os.geteuid() == 0 else "run it as root"
    return LabFailed(f"without {', '.join(missing)} the lab needs {needed}; or {remedy}")


def join(pid: int) -> None:
    """Enter the user namespace of process `pid`, unless it is ours already. Raises LabFailed."""
    theirs = f"/proc/{pid}/ns/user"
    try:
        if os.path.samefile("/proc/self/ns/user", theirs):
            return
        descriptor = os.open(theirs, os.O_RDONLY)
    except OSError as error:
        raise LabFailed(f"the lab belongs to somebody else: {theirs}: {error.strerror}")
    try:
        if _libc.setns(descriptor, _CLONE_NEWUSER):
            raise LabFailed(f"the lab's user namespace cannot be entered: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)
