"""Reads the node's configuration, one JSON document, and checks every word of it before anything else happens."""

import json
import os
from errno import ENOENT

from mip4.address import is_unicast, parse, parse_link, show_link
from mip4.authentication import ALGORITHMS, AaaAssociation, parse_key
from mip4.const import CHAP_SPI
from mip4.errors import Malformed
from mip4.nai import check_nai, check_sub_nai
from runtime.errors import ConfigurationError
from runtime.fields import REQUIRED, a_list, fields, host, host_or_any, list_of, number, one_of, text, unique


def read(path: str, platform) -> dict:
    """What the engine and the port are given: every key present, addresses int, keys bytes, paths absolute.

    platform: its port module. UPLINK, DOWNLINK, RECORDER and FURTHER are its tables of fields, as FIELDS below;
    prepare(document) comes before the check of each key, check_links(config) after it: both raise ValueErrors that
    begin with the key. Raises ConfigurationError: file, key, reason.
    """
    try:
        with open(path) as file:
            document = json.load(file)
    except OSError as error:
        raise ConfigurationError("%s: cannot be read: %s" % (path, _reason(error)))
    except ValueError:
        raise ConfigurationError("%s: not a JSON document" % path)
    table = FIELDS + [
        ("uplinks", REQUIRED, lambda value, at: list_of(platform.UPLINK, value, at)),
        ("downlinks", [], lambda value, at: list_of(platform.DOWNLINK, value, at)),
        ("recorder", None, lambda value, at: _recorder(platform.RECORDER, value, at)),
    ]
    try:
        platform.prepare(document)
        config = fields(table + platform.FURTHER, document, _folder(path))
        platform.check_links(config)  # which names those that have no name
        _check_together(config)
    except ValueError as error:
        raise ConfigurationError("%s: %s" % (path, error.args[0]))
    config["path"] = path
    return config


def _check_together(config: dict) -> None:
    if config["requested_home_agent"] and is_unicast(config["home_agent"]):
        raise ValueError('requested_home_agent: "home_agent" names another one already')
    if config["mode"] != "foreign-agent" and not is_unicast(config["home_agent"]):
        raise ValueError('home_agent: only through a foreign agent can it be left open: "mode": "foreign-agent"')
    _check_tunnel(config)
    own = [config["own_session"]] if config["own_session"] else []
    if len(config["applications"]) + (config["own_session"] is not None) > config["sessions"]:
        raise ValueError("applications: more than %d sessions, with the node's own" % config["sessions"])
    lines = [one["name"] for one in config["downlinks"] if one["kind"] == "slip"]
    unique("names and applications", own + lines + list(config["names"].values()) + config["applications"])


def _check_tunnel(config: dict) -> None:
    """What would never be asked for is no wish that an owner should have (mobile_node/wishes.py)."""
    if config["broadcast"] and config["mode"] == "foreign-agent":
        raise ValueError('broadcast: they reach a node that unwraps them itself: not with "mode": "foreign-agent"')
    if config["mode"] == "co-located":
        if config["encapsulation"] == "minimal":
            raise ValueError(
                'encapsulation: an agent unwraps "minimal", the node does not: not with "mode": "co-located"'
            )
        if config["delivery"] == "encapsulating":
            raise ValueError('delivery: it is to an agent: not with "mode": "co-located"')
    if config["delivery"] == "encapsulating" and not config["reverse_tunnel"]:
        raise ValueError('delivery: there is no "encapsulating" one without "reverse_tunnel"')


def _folder(path: str) -> str:
    """The absolute folder that the paths in this file start from."""
    folder = path[: path.rindex("/")] if "/" in path else ""
    if path.startswith("/"):
        return folder
    return (os.getcwd().rstrip("/") + "/" + folder).rstrip("/")


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
            raise ValueError("%s cannot be read: %s" % (path, _reason(error)))
    try:
        key = parse_key(value)
    except ValueError as error:
        raise ValueError(error.args[0].replace("key: ", ""))
    if not key:
        raise ValueError("empty")
    return key


def _reason(error: OSError) -> str:
    return "there is no such file" if error.errno == ENOENT else "errno %d" % error.errno


def _path(value, folder: str) -> str:
    return value if text(value).startswith("/") else folder + "/" + value


def _path_or_none(value, folder: str) -> str:
    return "" if value == "" else _path(value, folder)


def _aaa(value, folder: str):
    """An association with a AAA server, or None. Under CHAP_SPI there is no choice of algorithm (RFC 4721 §8)."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    try:
        found = fields(_AAA, value, folder)
    except ValueError as error:
        raise ValueError("." + error.args[0])
    AaaAssociation(found["spi"], found["key"], found["algorithm"])  # which says what is wrong
    return found


def _recorder(table: list, value, folder: str):
    """What the flight recorder is to do, or None: there is none. table: what the platform has for it."""
    if value is None:
        return None
    try:
        return fields(_RECORDER + table, value, folder)
    except ValueError as error:
        raise ValueError("." + error.args[0])


_SPI = number(256, 0xFFFFFFFF)  # RFC 5944 §1.6: the lower ones are reserved
_ALGORITHM = one_of(*sorted(ALGORITHMS))
_FOREIGN_AGENT = [  # an MN-FA mobility security association
    ("care_of_address", REQUIRED, host),
    ("spi", REQUIRED, _SPI),
    ("key", REQUIRED, _key),
    ("algorithm", "hmac-md5", _ALGORITHM),
]
_AAA = [
    ("spi", REQUIRED, number(CHAP_SPI, 0xFFFFFFFF)),
    ("key", REQUIRED, _key),
    ("algorithm", "hmac-md5", _ALGORITHM),
]
_RECORDER = [
    ("path", "flight", _path),
    ("size", 262144, number(16384, 1 << 24)),  # octets: some three hours of driving
    ("on", True, one_of(True, False)),  # from the start; `entourage trial start` does it later
    ("sample", 5, number(1, 3600)),  # seconds between samples of place, link and machine
    ("write", 10, number(1, 3600)),  # seconds, the most that a power cut takes with it
    ("pages_per_hour", 2000, number(100, 100000)),  # of 256 octets
    ("gps_baud", 9600, one_of(4800, 9600, 19200, 38400, 57600, 115200)),
]
FIELDS = [
    ("nai", REQUIRED, _nai),
    ("home_agent", REQUIRED, _home_agent),
    ("requested_home_agent", "", host_or_any),
    ("spi", REQUIRED, _SPI),
    ("key", REQUIRED, _key),
    ("algorithm", "hmac-md5", _ALGORITHM),
    ("aaa", None, _aaa),
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
    ("foreign_agents", [], lambda value, folder: list_of(_FOREIGN_AGENT, value, folder)),
    ("control", "", _path_or_none),
    ("clock", "system", one_of("system", "none")),
    ("state", "node.state.json", _path_or_none),
]
