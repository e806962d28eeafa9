"""Reads the node's configuration, one JSON document, and checks every word of it before anything else happens."""

import json
import os

from mip4.address import is_unicast
from runtime import node_fields
from runtime.errors import ConfigurationError, reason
from runtime.fields import fields, unique


def read(path: str, platform) -> dict:
    """What the engine and the port are given: every key present, addresses int, keys bytes, paths absolute.

    platform: its port module. prepare(document) comes before the check of each key, fields.check_links(config) after
    it: both raise ValueErrors that begin with the key. fields.uplink(), downlink(), recorder() and further() are its
    tables, as node_fields.node(). Raises ConfigurationError: file, key, reason.
    """
    try:
        with open(path) as file:
            document = json.load(file)
    except OSError as error:
        raise ConfigurationError("%s: cannot be read: %s" % (path, reason(error)))
    except ValueError:
        raise ConfigurationError("%s: not a JSON document" % path)
    try:
        platform.prepare(document)
        config = fields(node_fields.node(platform.fields), document, _folder(path))
        platform.fields.check_links(config)  # which names those that have no name
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
