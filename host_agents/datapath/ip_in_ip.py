"""IP-in-IP (RFC 2003): an outer header, which the kernel makes, and nothing else."""

from __future__ import annotations

from host_agents.datapath.inner import Inner, quoted_inner, read_inner
from mip4.errors import Malformed

TTL = 64  # of an outer header, enough to reach the other end (RFC 2003 §3.1)


def wrap(inner: Inner, local: int) -> tuple[bytes, memoryview, int]:
    """As Encapsulation.wrap."""
    return b"", inner.packet, TTL


def unwrap(outer: memoryview) -> Inner:
    """As Encapsulation.unwrap."""
    inner = read_inner(outer[(outer[0] & 15) * 4 :])
    if inner is None:
        raise Malformed("inner not IPv4")
    return inner


def takes(inner: Inner) -> bool:
    """As Encapsulation.takes: every packet."""
    return True


quoted = quoted_inner
