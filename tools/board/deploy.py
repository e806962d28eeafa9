"""`entourage board deploy`: the firmware of this tree, and a node's configuration, onto a board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.board import files, payload
from tools.board.association import read_config
from tools.board.connection import Connection
from tools.board.differences import differences
from tools.board.identity import identify


def deploy(port: str, config: Path | None, dry_run: bool) -> None:
    """Tells what is done; dry_run: what would be. The node is started again in any case. Raises BoardFailed."""
    document = None if config is None else read_config(config)
    with Connection(port) as board:
        identity = identify(board)
        print(f"{board.port}: {identity.machine}, MicroPython {identity.version}, {identity.arch}")
        wanted = payload.compiled(identity.arch)
        if document is not None:
            wanted[payload.CONFIG] = octets_of(document)
            show_differences(board, document)
        bring(board, wanted, dry_run)
        board.leave()


def bring(board: Connection, wanted: dict[str, bytes], dry_run: bool = False) -> None:
    """Raises BoardFailed."""
    plan = files.plan(board, wanted)
    for path in plan.remove:
        print(f"  remove {path}")
    if dry_run:
        for path in plan.write:
            print(f"  write {path}")
    else:
        files.carry_out(board, plan, lambda path: print(f"  write {path}", flush=True))
    done = "to write, {} to remove" if dry_run else "written, {} removed"
    print(f"{len(plan.write)} files {done.format(len(plan.remove))}, {plan.same} are as they should be")


def show_differences(board: Connection, document: dict[str, Any]) -> None:
    """What of the board's configuration changes; nothing secret is shown. Raises BoardFailed."""
    octets = board.read(payload.CONFIG)
    try:
        before = {} if octets is None else json.loads(octets)
    except ValueError:
        before = {}
        print(f"  {payload.CONFIG} on the board is not a JSON document, and is replaced")
    for line in differences(before, document):
        print(f"  {payload.CONFIG} {line}")


def octets_of(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
