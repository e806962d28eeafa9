"""The node's state file: which session had which home address, kept over a power cut.

A line of JSON, and a line with its SHA-256: what flash has lost or changed is noticed, and not believed.
"""

import json
import os
from binascii import hexlify
from hashlib import sha256

_FORMAT = "entourage mobile node 2"


def load(path: str, nai: str, log) -> list:
    """The sessions that a former run of `nai` saved, [] without a usable file. An unusable one is a line in the log."""
    try:
        with open(path, "rb") as file:
            line, _, digest = file.read().partition(b"\n")
    except OSError:
        return []
    if digest != _digest(line):
        return _ignored(path, "it is torn or damaged, or no state file of this program", log)
    document = json.loads(line)  # whoever wrote the digest wrote this
    if document["format"] != _FORMAT:
        return _ignored(path, "it is of another version of this program", log)
    if document["nai"] != nai:
        return _ignored(path, "it belongs to another NAI", log)
    return document["sessions"]


def save(path: str, nai: str, sessions: list) -> None:
    """Whole or not at all: the new file takes the place of the old one when it is on the disk. Raises OSError."""
    line = json.dumps({"format": _FORMAT, "nai": nai, "sessions": sessions}).encode()
    with open(path + ".new", "wb") as file:
        file.write(line + b"\n" + _digest(line))
        file.flush()  # MicroPython's flush is fsync
    os.rename(path + ".new", path)


def _digest(line: bytes) -> bytes:
    return hexlify(sha256(line).digest()) + b"\n"


def _ignored(path: str, reason: str, log) -> list:
    log.warning("state file %s ignored: %s" % (path, reason))
    return []
