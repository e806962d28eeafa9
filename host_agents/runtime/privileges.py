"""Give up every privilege but those an agent works with (capabilities(7), prctl(2))."""

from __future__ import annotations

import ctypes
import errno
import os

from host_agents.runtime.errors import KernelRefused

NET_BIND_SERVICE, NET_ADMIN, NET_RAW, BPF = 10, 12, 13, 39
NEEDED = frozenset((NET_BIND_SERVICE, NET_ADMIN, NET_RAW))

_VERSION_3 = 0x20080522
_CAPBSET_READ, _CAPBSET_DROP = 23, 24
_SET_NO_NEW_PRIVS = 38
_AMBIENT, _AMBIENT_CLEAR_ALL = 47, 4
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    """One half, 32 capabilities, of the three sets."""

    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def drop_privileges(keep: frozenset[int] = NEEDED) -> frozenset[int]:
    """Keep of this process's capabilities only `keep`, also across an exec; return those that it really has now.

    To be called before any thread is started, since the kernel counts capabilities by thread. Harmless without
    privileges: nothing can be gained. Raises KernelRefused.
    """
    _prctl("no new privileges", _SET_NO_NEW_PRIVS, 1)
    for capability in range(_LAST_CAPABILITY + 1):
        held = _libc.prctl(_CAPBSET_READ, capability, 0, 0, 0)
        if held < 0:  # beyond the last one that this kernel knows
            break
        if held and capability not in keep and _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            # Without CAP_SETPCAP the bounding set stays; no_new_privs makes it worthless to an exec all the same.
            break
    _prctl("ambient capabilities", _AMBIENT, _AMBIENT_CLEAR_ALL)
    header, halves = _Header(_VERSION_3, 0), (_Data * 2)()
    _call("capget", _libc.capget(ctypes.byref(header), halves))
    for number, half in enumerate(halves):
        wanted = sum(1 << one % 32 for one in keep if one // 32 == number)
        half.permitted &= wanted
        half.effective = half.permitted
        half.inheritable = 0
    _call("capset", _libc.capset(ctypes.byref(header), halves))
    return frozenset(one for one in keep if halves[one // 32].permitted & 1 << one % 32)


def _prctl(what: str, *arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:5]
    _call(what, _libc.prctl(*(ctypes.c_ulong(one) for one in padded)))


def _call(what: str, result: int) -> None:
    if result < 0:
        raise KernelRefused(f"give up privileges: {what}", os.strerror(ctypes.get_errno() or errno.EPERM))
