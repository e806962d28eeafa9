"""Brings the files on a board to what they should be, and touches none that is so already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.board.connection import Connection
from tools.board.errors import BoardFailed

_STARTER = "main.py"
_UNFINISHED = ".new"  # a file is written beside the one it replaces: a power cut leaves the former firmware whole

# Python would import a .py before a .mpy, so what is not ours any more must go: every file of our folders is looked at.
_SURVEY = """
import hashlib, os
def survey(path, found):
    try:
        entries = os.listdir(path)
    except OSError:
        entries = None
    if entries is None:
        try:
            with open(path, "rb") as file:
                digest = hashlib.sha256()
                octets = file.read(512)
                while octets:
                    digest.update(octets)
                    octets = file.read(512)
        except OSError:
            return
        found[path] = digest.digest().hex()
    else:
        for name in entries:
            survey(path + "/" + name, found)
found = {}
for path in %r:
    survey(path, found)
space = os.statvfs("/")
"""
_FOLDERS = """
import os
for path in %r:
    try:
        os.mkdir(path)
    except OSError as error:
        if error.errno != 17:
            raise
"""
# One by one: power that goes between two leaves some of the former firmware and some of the latter. What starts it is
# away meanwhile, so that such a mixture is never run (boot.py says what to do).
_REPLACE = """
import os
written, new, gone, starter = %r
if starter:
    try:
        if starter in written:
            os.remove(starter)
        else:
            os.rename(starter, starter + new)
    except OSError as error:
        if error.errno != 2:
            raise
for path in written:
    if path != starter:
        os.rename(path + new, path)
for path in gone:
    os.remove(path)
if starter:
    os.rename(starter + new, starter)
if hasattr(os, "sync"):
    os.sync()
"""


@dataclass(slots=True, frozen=True)
class Plan:
    """write: path -> octets. remove: paths that are not ours any more. same: how many are as they should be.

    needed, free: octets of the board's file system. starter: what runs the others, "" where nothing does.
    """

    write: dict[str, bytes]
    remove: list[str]
    same: int
    needed: int
    free: int
    starter: str


def plan(board: Connection, files: Mapping[str, bytes]) -> Plan:
    """What to do so that the board has `files`. What it has outside of their folders is let be. Raises BoardFailed."""
    roots = sorted({path.split("/")[0] for path in files})
    board.run(_SURVEY % (roots,))
    there: dict[str, str] = board.value("found")
    block, free = board.value("(space[0], space[3])")
    write = {path: octets for path, octets in files.items() if there.get(path) != _digest(octets)}
    needed = sum(-(-len(octets) // block) * block for octets in write.values())
    # What an interrupted deployment has left is written again, or goes
    remove = set(there) - set(files) - {path + _UNFINISHED for path in write}
    starter = _STARTER if _STARTER in files and (write or remove) else ""
    return Plan(write, sorted(remove), len(files) - len(write), needed, block * free, starter)


def carry_out(board: Connection, plan: Plan, tell: Callable[[str], None]) -> None:
    """tell: is given each path as it is written. Raises BoardFailed.

    What arrives damaged replaces nothing. Whatever happens later, a board that starts has all of it.
    """
    if plan.needed > plan.free:
        raise BoardFailed(f"{board.port}: {plan.needed} octets are to be written, {plan.free} are free on the board")
    board.run(_FOLDERS % (_folders(plan.write),))
    for path, octets in plan.write.items():
        tell(path)
        board.write(path + _UNFINISHED, octets)
    board.run(_SURVEY % ([path + _UNFINISHED for path in plan.write],))
    there: dict[str, str] = board.value("found")
    for path, octets in plan.write.items():
        if there.get(path + _UNFINISHED) != _digest(octets):
            raise BoardFailed(f"{board.port}: {path}: arrived damaged")
    board.run(_REPLACE % ((list(plan.write), _UNFINISHED, plan.remove, plan.starter),))


def _folders(files: Mapping[str, bytes]) -> list[str]:
    """Those that hold a file, outer ones first."""
    found = set()
    for path in files:
        parts = path.split("/")[:-1]
        found |= {"/".join(parts[: end + 1]) for end in range(len(parts))}
    return sorted(found)


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
