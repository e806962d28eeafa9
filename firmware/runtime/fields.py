"""Checking a JSON document against a table of its keys. Errors are ValueErrors that begin with the key."""

import json

from mip4.address import is_unicast, parse
from mip4.const import ANY

REQUIRED = object()  # stands where a default would


def fields(table: list, document, folder: str) -> dict:
    """The values of `document` by a table of (key, default or REQUIRED, check).

    check(value, folder): returns the value to use or raises ValueError with the reason. Raises ValueError: key, reason.
    """
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    found = {}
    for key, default, check in table:
        value = document.get(key, default)
        if value is REQUIRED:
            raise ValueError("%s: missing" % key)
        try:
            found[key] = check(value, folder)
        except ValueError as error:
            reason = error.args[0]
            # The key of an inner table comes with its own colon: "uplinks[0].address: ..."
            raise ValueError("%s%s" % (key, reason) if reason[:1] in ("[", ".") else "%s: %s" % (key, reason))
    for key in document:
        if key not in found:
            raise ValueError("%s: unknown key" % key)
    return found


def inner(table: list, value, folder: str) -> dict:
    """A check for such a document inside another."""
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    try:
        return fields(table, value, folder)
    except ValueError as error:
        raise ValueError("." + error.args[0])


def list_of(table: list, value, folder: str) -> list:
    """A check for a list of such documents."""
    found = []
    for at, item in enumerate(a_list(value)):
        try:
            found.append(fields(table, item, folder))
        except ValueError as error:
            raise ValueError("[%d].%s" % (at, error.args[0]))
    return found


def text(value, folder: str = "") -> str:
    """A check for a text that says something."""
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def host(value, folder: str) -> int:
    """A check for the address of one host."""
    address = parse(text(value))
    if not is_unicast(address):
        raise ValueError("not the address of one host: %s" % value)
    return address


def host_or_any(value, folder: str) -> int:
    """The same, where "" leaves it open."""
    return ANY if value == "" else host(value, folder)


def one_of(*allowed):
    """A check for one of these values."""

    def check(value, folder: str):
        if value not in allowed or type(value) is not type(allowed[allowed.index(value)]):  # 1 == true
            raise ValueError("none of %s" % ", ".join([json.dumps(one) for one in allowed]))
        return value

    return check


def number(least: int, most: int):
    """A check for a whole number in these bounds."""

    def check(value, folder: str) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError("not a whole number from %d to %d" % (least, most))
        return value

    return check


def or_none(check):
    """The same check, where nothing need be said."""
    return lambda value, folder: None if value is None else check(value, folder)


def a_list(value, folder: str = "") -> list:
    """A check for a list of whatever."""
    if not isinstance(value, list):
        raise ValueError("not a list")
    return value


def unique(what: str, values: list) -> None:
    """Raises ValueError if one of `values` is there twice."""
    for at, value in enumerate(values):
        if value in values[:at]:
            raise ValueError('%s: "%s" is there twice' % (what, value))
