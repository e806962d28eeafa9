"""What the configuration says of a node, checked key by key (as fields.py does).

Tables are made when a document is read, and are garbage then: kept, with their checks, they took 5 kB of a board's
heap.
"""

import os

from mip4.address import parse, parse_link, show_link
from mip4.authentication import ALGORITHMS, AaaAssociation, parse_key
from mip4.compat import const
from mip4.const import CHAP_SPI
from mip4.errors import Malformed
from mip4.nai import check_nai, check_sub_nai
from runtime.errors import reason
from runtime.fields import REQUIRED, a_list, host, host_or_any, inner, list_of, number, one_of, or_none, text

_LOWEST_SPI = const(256)  # RFC 5944 §1.6: the lower ones are reserved


def _home_agent(value, folder: str) -> int:
    """All zeros or all ones leave the choice to others (RFC 4433)."""
    return parse(value) if value in ("0.0.0.0", "255.255.255.255") else host(value, folder)


def _nai(value, folder: str) -> str:
    try:
        return check_nai(text(value).encode())
    except Malformed as error:
        raise ValueError(error.args[0])


def _sub_nai(value, folder: str = "") -> str:
    try:
        return check_sub_nai(text(value).encode())
    except Malformed as error:
        raise ValueError(error.args[0])


def _own_session(value, folder: str):
    return value if value is None or value == "" else _sub_nai(value)


def _names(value, folder: str) -> dict:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    found = {}
    for device, name in value.items():
        try:
            device = show_link(parse_link(device))  # in any case; else a DHCP client identifier or host name
        except ValueError:
            pass
        if device in found:
            raise ValueError('"%s" is there twice' % device)
        found[device] = _sub_nai(name)
    return found


def _key(value, folder: str) -> bytes:
    """hex:, text:, or file: with the path of a file that holds one of the two. A reason never shows the key."""
    if not isinstance(value, str):
        raise ValueError("not a text")
    if value.startswith("file:"):
        path = _path(value[5:], folder)
        try:
            if os.stat(path)[0] & 0o077:
                raise ValueError("%s is open to others: chmod 600 it" % path)
            with open(path) as file:
                value = file.read().strip()
        except OSError as error:
            raise ValueError("%s cannot be read: %s" % (path, reason(error)))
    try:
        key = parse_key(value)
    except ValueError as error:
        raise ValueError(error.args[0].replace("key: ", ""))
    if not key:
        raise ValueError("empty")
    return key


def _path(value, folder: str) -> str:
    return value if text(value).startswith("/") else folder + "/" + value


def _path_or_none(value, folder: str) -> str:
    return "" if value == "" else _path(value, folder)


def _aaa(value, folder: str) -> dict:
    """An association with a AAA server. Under CHAP_SPI there is no choice of algorithm (RFC 4721 §8)."""
    found = inner(_association(CHAP_SPI), value, folder)
    AaaAssociation(found["spi"], found["key"], found["algorithm"])  # which says what is wrong
    return found


def _association(lowest_spi: int) -> list:
    """A mobility security association."""
    return [
        ("spi", REQUIRED, number(lowest_spi, 0xFFFFFFFF)),
        ("key", REQUIRED, _key),
        ("algorithm", "hmac-md5", one_of(*sorted(ALGORITHMS))),
    ]


def _recorder() -> list:
    """What the flight recorder is to do."""
    return [
        ("path", "flight", _path),
        ("size", 262144, number(16384, 1 << 24)),  # octets: some three hours of driving
        ("on", True, one_of(True, False)),  # from the start; `entourage trial start` does it later
        ("sample", 5, number(1, 3600)),  # seconds between samples of place, link and machine
        ("write", 10, number(1, 3600)),  # seconds, the most that a power cut takes with it
        ("pages_per_hour", 2000, number(100, 100000)),  # of 256 octets
        ("gps_baud", 9600, one_of(4800, 9600, 19200, 38400, 57600, 115200)),
    ]


def node(links) -> list:
    """The whole document. links: the platform's own fields.py."""
    association = _association(_LOWEST_SPI)
    foreign_agent = [("care_of_address", REQUIRED, host)] + association
    recorder = _recorder() + links.recorder()
    own = [
        ("nai", REQUIRED, _nai),
        ("home_agent", REQUIRED, _home_agent),
        ("requested_home_agent", "", host_or_any),
        ("aaa", None, or_none(_aaa)),
        ("replay", "timestamps", one_of("timestamps", "nonces")),
        ("lifetime", 600, number(1, 0xFFFF)),
        ("mode", "auto", one_of("foreign-agent", "co-located", "auto")),
        ("force_udp", False, one_of(True, False)),
        ("reverse_tunnel", True, one_of(True, False)),
        ("encapsulation", "ipip", one_of("ipip", "gre", "minimal")),
        ("delivery", "direct", one_of("direct", "encapsulating")),
        ("simultaneous", False, one_of(True, False)),
        ("broadcast", False, one_of(True, False)),
        ("own_session", "", _own_session),
        ("sub_nai_vendor", 0, number(0, 0xFFFFFF)),
        ("sub_nai_type", 1, one_of(1, 2)),
        ("names", {}, _names),
        ("sessions", 16, number(1, 256)),  # a board's heap has room for so many, a Linux machine's for more
        ("link_mtu", 1500, number(576, 1500)),  # what passes the way to the home agent whole
        ("applications", [], lambda value, folder: [_sub_nai(one) for one in a_list(value)]),
        ("foreign_agents", [], lambda value, folder: list_of(foreign_agent, value, folder)),
        ("control", "", _path_or_none),
        ("clock", "system", one_of("system", "none")),
        ("state", "node.state.json", _path_or_none),
        ("uplinks", REQUIRED, lambda value, folder: list_of(links.uplink(), value, folder)),
        ("downlinks", [], lambda value, folder: list_of(links.downlink(), value, folder)),
        ("recorder", None, or_none(lambda value, folder: inner(recorder, value, folder))),
    ]
    return own + association + links.further()
