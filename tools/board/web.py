"""A page from which a browser flashes a board, by ESP Web Tools: for images that somebody has built."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from host_agents.store.whole_file import whole_file
from tools.board.definitions import BOARDS
from tools.board.errors import BoardFailed
from tools.board.image import Image

PAGE = BOARDS / "web" / "index.html"
MANIFEST = "manifest.json"
# The chips' names in such a manifest
_FAMILIES = {"esp32": "ESP32", "esp32s3": "ESP32-S3", "esp32c3": "ESP32-C3"}


def manifest(images: list[Image], version: str) -> dict[str, object]:
    """Raises BoardFailed if two are for one chip: the browser could not tell which is meant."""
    chips = [image.chip for image in images]
    for chip in chips:
        if chips.count(chip) > 1:
            raise BoardFailed(f"{chip}: two images, and a page can offer one for each chip")
    builds = [
        {"chipFamily": _FAMILIES[image.chip], "parts": [{"path": image.path.name, "offset": image.offset}]}
        for image in images
    ]
    return {"name": "Entourage", "version": version, "new_install_prompt_erase": True, "builds": builds}


def write_page(folder: Path, images: list[Image], version: str) -> None:
    """Page, manifest and images in one folder, to be served over HTTPS or from localhost. Raises BoardFailed."""
    document = manifest(images, version)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in [*(image.path for image in images), PAGE]:
            if path.parent.resolve() != folder.resolve():
                with whole_file(folder / path.name) as beside:
                    shutil.copyfile(path, beside)
        with whole_file(folder / MANIFEST) as beside:
            beside.write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise BoardFailed(f"{error.filename or folder}: {error.strerror}") from error
