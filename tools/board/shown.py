"""Boards on the terminal: tables for people, JSON for programs."""

from __future__ import annotations

from typing import Any

from host_agents.cli.show import print_json, print_table
from tools.board.definitions import Definition, all_definitions
from tools.board.ports import attached

_ATTACHED = {"port": "port", "usb": "USB", "serial_number": "serial number", "kind": "what it seems to be"}
_KNOWN = {
    "name": "board",
    "flash_offset": "offset",
    "wifi_devices": "Wi-Fi devices",
    "serial_devices": "serial device",
    "image": "image",
}
_SERIAL = {"native": ["usb", "uart"], "serial": ["uart"], "bridge": ["uart"]}


def boards(as_json: bool) -> None:
    """What is attached, and what is known. Raises BoardFailed."""
    there = [one.row() for one in attached()]
    known = [_row(one) for one in all_definitions().values()]
    if as_json:
        print_json({"attached": there, "known": known})
        return
    if there:
        print_table(_ATTACHED, there, title="attached by USB")
    else:
        print("nothing is attached by USB")
    print_table(_KNOWN, [{**one, "serial_devices": " or ".join(one["serial_devices"])} for one in known], title="known")


def _row(one: Definition) -> dict[str, Any]:
    """wifi_devices: how many it can carry packets of at most, 0 for none. image: whose."""
    own = one.entourage
    return {
        "name": one.name,
        "chip": own.chip,
        "arch": own.arch,
        "flash_offset": one.deploy_options.flash_offset,
        "wifi_devices": own.stations if own.forwards else 0,
        "serial_devices": _SERIAL[own.usb],
        "image": "MicroPython's" if own.image else "ours",
    }


def status(document: dict[str, Any], as_json: bool) -> None:
    """As of tools.board.status."""
    if as_json:
        print_json(document)
        return
    board, config = document["board"], document["config"]
    print(f"{document['port']}: {board['machine']}, MicroPython {board['version']}, {board['arch']}")
    print(f"heap: {board['heap_free']} octets free with nothing imported")
    firmware = {"same": "as in this tree", "none": "none", "other": f"{len(document['differing'])} files differ"}
    print(f"firmware: {firmware[document['firmware']]}")
    if config is None:
        print("configuration: none")
    elif not config:
        print("configuration: not to be read")
    else:
        print(f"configuration: {config['nai']} at home agent {config['home_agent']}, SPI {config['spi']}")
        for kind in ("uplinks", "downlinks"):
            print(f"{kind}: {', '.join(config[kind]) or 'none'}")
