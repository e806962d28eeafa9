"""The kernel settings that a mobile node needs of its machine."""

from port_unix.netlink import error_name
from runtime.errors import KernelRefused

_ROOT = "/proc/sys/net/ipv4/"
# ip_forward comes first: it resets the others
_MACHINE = (("ip_forward", "1"), ("conf/all/rp_filter", "0"), ("conf/all/send_redirects", "0"))
# ARP on a visited link is not to be answered for home addresses (RFC 5944 §4.6), and redirects are no reason to move
_UPLINK = (("arp_ignore", "1"), ("rp_filter", "0"), ("accept_redirects", "0"), ("accept_local", "0"))
# Both ends of a packet between two devices are on the same link, and yet neither can reach the other directly
_DOWNLINK = (("rp_filter", "0"), ("send_redirects", "0"))


def settle_machine() -> list:
    """Returns what had to be changed, list of str. Raises KernelRefused. So do the others."""
    return _settle(_MACHINE)


def settle_uplink(interface: str) -> list:
    return _settle([("conf/%s/%s" % (interface, name), value) for name, value in _UPLINK])


def settle_home_link(interface: str, at_home: bool) -> list:
    """At home packets come from the network's gateway, whose address is also ours, on the downlinks."""
    return _settle([("conf/%s/accept_local" % interface, "1" if at_home else "0")])


def settle_own_link(interface: str) -> list:
    return _settle([("conf/%s/rp_filter" % interface, "0")])


def settle_downlink(interface: str) -> list:
    return _settle([("conf/%s/%s" % (interface, name), value) for name, value in _DOWNLINK])


def _settle(wanted) -> list:
    changed = []
    for name, value in wanted:
        try:
            with open(_ROOT + name) as setting:
                before = setting.read().strip()
            if before != value:
                with open(_ROOT + name, "w") as setting:
                    setting.write(value)
                changed.append("%s=%s (was %s)" % (name, value, before))
        except OSError as error:
            raise KernelRefused("setting %s%s to %s: %s" % (_ROOT, name, value, error_name(error.errno)))
    return changed
