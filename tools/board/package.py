"""The firmware as a package that `mip` installs: from this tree (firmware/package.json), or from an index."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path

from host_agents.store.whole_file import whole_file
from tools.board.errors import BoardFailed
from tools.board.identity import MPY_VERSION
from tools.board.payload import FIRMWARE, PROGRAMS, compiled, paths, sources

NAME = "entourage"
_HASH = 16  # hexadecimal digits of SHA-256 that name a file of an index


def package_json(firmware: Path = FIRMWARE) -> str:
    """What firmware/package.json has to say. Programs are not in it: mip puts everything below /lib."""
    urls = [[name, name] for name in sources(firmware) if name not in PROGRAMS]
    lines = ",\n".join("    " + json.dumps(one) for one in urls)
    return f'{{\n  "version": "{_version()}",\n  "urls": [\n{lines}\n  ],\n  "deps": []\n}}\n'


def write_index(folder: Path, firmware: Path = FIRMWARE) -> None:
    """An index for `mip install --index FOLDER entourage`: compiled, and sources for --no-mpy. Raises BoardFailed."""
    modules = {name: path.read_bytes() for name, path in paths(firmware).items()}
    try:
        for kind, files in (("py", modules), (str(MPY_VERSION), compiled("", firmware))):
            hashes = [[name, _put(folder, octets)] for name, octets in files.items() if name not in PROGRAMS]
            package = folder / "package" / kind / NAME
            package.mkdir(parents=True, exist_ok=True)
            for version in ("latest", _version()):
                document = {"v": 1, "version": _version(), "hashes": hashes, "urls": [], "deps": []}
                with whole_file(package / f"{version}.json") as beside:
                    beside.write_text(json.dumps(document))
    except OSError as error:
        raise BoardFailed(f"{error.filename or folder}: {error.strerror}") from error


def _put(folder: Path, octets: bytes) -> str:
    short = hashlib.sha256(octets).hexdigest()[:_HASH]
    path = folder / "file" / short[:2] / short
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as beside:
        beside.write_bytes(octets)
    return short


def _version() -> str:
    return importlib.metadata.version(NAME)


if __name__ == "__main__":
    (FIRMWARE / "package.json").write_text(package_json())
