"""The node's state file: which session had which home address, kept over a power cut."""

import json
import os

_FORMAT = "entourage mobile node 1"


def load(path: str, nai: str, log) -> list:
    """The sessions that a former run of `nai` saved, [] without a usable file. An unusable one is a line in the log."""
    try:
        with open(path) as file:
            document = json.load(file)
    except OSError:
        return []
    except ValueError:
        return _ignored(path, "it is not JSON", log)
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        return _ignored(path, "it is no state file of this program", log)
    if document.get("nai") != nai:
        return _ignored(path, "it belongs to another NAI", log)
    sessions = document.get("sessions")
    if not isinstance(sessions, list) or not all([_is_session(one) for one in sessions]):
        return _ignored(path, "its sessions are not lists of four texts", log)
    return sessions


def save(path: str, nai: str, sessions: list) -> None:
    """Whole or not at all: the new file takes the place of the old one when it is on the disk. Raises OSError."""
    with open(path + ".new", "w") as file:
        json.dump({"format": _FORMAT, "nai": nai, "sessions": sessions}, file)
        file.flush()  # MicroPython's flush is fsync
    os.rename(path + ".new", path)


def _is_session(one) -> bool:
    return isinstance(one, list) and len(one) == 4 and all([isinstance(field, str) for field in one])


def _ignored(path: str, reason: str, log) -> list:
    log.warning("state file %s ignored: %s" % (path, reason))
    return []
