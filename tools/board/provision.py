"""`entourage board provision`: a new node, from the home agent's file to the board. No key is a word of a command."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host_agents.store.whole_file import can_be_made
from mip4.address import is_unicast, parse
from mip4.errors import Malformed
from mip4.nai import check_nai
from tools.board import association, deploy, payload, secret_files
from tools.board.association import Wishes
from tools.board.connection import Connection
from tools.board.errors import BoardFailed


def provision(arguments: argparse.Namespace) -> None:
    """The board is asked first, and what cannot be written is found out, so that nobody becomes a subscriber whose node
    cannot be reached or has no key. Raises BoardFailed, ConfigurationError.
    """
    wishes = _wishes(arguments)
    out: Path = arguments.out or Path(f"{secret_files.file_name(wishes.nai)}.json")
    former = _former(arguments, out, wishes.nai)
    if not can_be_made(out):
        raise BoardFailed(f"{out}: nothing can be written there")
    with _board(arguments) as board:
        spi, home_agent, key = _subscribe(arguments, wishes, out, former)
        if former is None:
            document = association.node_config(wishes, home_agent, spi, key)
        else:
            document = {**former, "spi": spi, "key": key}
        secret_files.put(out, json.dumps(document, indent=1) + "\n")
        print(f"{out}: the node's configuration, with its key{_and_password(wishes)}; nobody else can read it")
        if board is not None:
            try:
                deploy.show_differences(board, document)
                deploy.bring(board, {payload.CONFIG: deploy.octets_of(document)})
                board.leave()
            except BoardFailed as error:
                raise BoardFailed(f"{error}; all but the board is done: deploy --config {out}") from error


def _former(arguments: argparse.Namespace, out: Path, nai: str) -> dict[str, Any] | None:
    """The configuration of a node that only gets another key. Raises BoardFailed."""
    if not arguments.rekey:
        if out.exists():
            raise BoardFailed(f"{out}: is there already: --rekey gives that node another key, --out names another file")
        if not arguments.uplink and not arguments.open_uplink:
            raise BoardFailed("a node needs an --uplink or an --open-uplink")
        return None
    former = association.read_config(out)
    if former.get("nai") != nai or not isinstance(former.get("spi"), int):
        raise BoardFailed(f"{out}: not the configuration of {nai}")
    return former


def _wishes(arguments: argparse.Namespace) -> Wishes:
    """What was asked for, passwords included. Raises BoardFailed."""
    try:
        nai = check_nai(arguments.nai.encode())
    except Malformed as error:
        raise BoardFailed(f"NAI: {error}") from error
    if arguments.home_agent is not None:
        try:
            good = is_unicast(parse(arguments.home_agent))
        except ValueError:
            good = False
        if not good:
            raise BoardFailed(f"--home-agent: {arguments.home_agent} is not the address of a host")
    uplinks: list[tuple[str, str | None]] = [(ssid, _password(ssid)) for ssid in arguments.uplink]
    uplinks += [(ssid, None) for ssid in arguments.open_uplink]
    return Wishes(nai, arguments.sessions, tuple(uplinks), arguments.access_point, arguments.slip)


def _password(ssid: str) -> str:
    """Typed and not shown; where nobody types, the next line of stdin. Raises BoardFailed."""
    typed = sys.stdin.isatty()
    password = getpass.getpass(f"password of {ssid}: ") if typed else sys.stdin.readline().rstrip("\n")
    if not 8 <= len(password) <= 63:
        raise BoardFailed(f"--uplink {ssid}: a WPA password has 8 to 63 characters; --open-uplink needs none")
    return password


@contextmanager
def _board(arguments: argparse.Namespace) -> Iterator[Connection | None]:
    if arguments.no_board:
        yield None
        return
    with Connection(arguments.port) as board:
        yield board


def _subscribe(
    arguments: argparse.Namespace, wishes: Wishes, out: Path, former: dict[str, Any] | None
) -> tuple[int, str, str]:
    """(SPI, home agent, key), with the home agent's side done, or told to whoever has to do it."""
    key = association.new_key()
    if arguments.ha is not None:
        spi, home_agent = association.subscribe(arguments.ha, wishes.nai, key, wishes.sessions, arguments.rekey)
        print(f"{arguments.ha}: {wishes.nai} is a subscriber, SPI {spi}, once `entourage ha reload` has read it")
        return spi, home_agent, key
    spi = arguments.spi or (association.FIRST_SPI if former is None else former["spi"] + 1)
    path = association.key_file(out.parent, wishes.nai, spi)
    secret_files.put(path, key + "\n")
    print(f"The home agent needs {path} beside its ha.toml, mode 0600, and in that file:")
    print(association.subscriber(wishes.nai, spi, "file:" + path.name, wishes.sessions))
    return spi, arguments.home_agent, key


def _and_password(wishes: Wishes) -> str:
    return " and its access point's password" if wishes.access_point else ""
