"""The page from which a browser flashes a board: what ESP Web Tools reads, not what it does (no browser is at hand)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.board.test_flash import an_image

Typed = Callable[..., tuple[int, str, str]]


def test_a_page_offers_the_right_image_at_the_right_offset_for_each_chip(
    entourage_board: Typed, tmp_path: Path
) -> None:
    images = []
    for chip in ("esp32", "esp32s3", "esp32c3"):
        images.append(tmp_path / f"{chip}.bin")
        images[-1].write_bytes(an_image(chip))

    code, _, err = entourage_board("page", tmp_path / "site", *images, "--version", "1.29.0")

    manifest = json.loads((tmp_path / "site" / "manifest.json").read_text())
    assert code == 0, err
    assert (manifest["name"], manifest["version"], manifest["new_install_prompt_erase"]) == (
        "Entourage",
        "1.29.0",
        True,
    )
    assert [(one["chipFamily"], one["parts"]) for one in manifest["builds"]] == [
        ("ESP32", [{"path": "esp32.bin", "offset": 0x1000}]),
        ("ESP32-S3", [{"path": "esp32s3.bin", "offset": 0}]),
        ("ESP32-C3", [{"path": "esp32c3.bin", "offset": 0}]),
    ]
    for image in images:
        assert (tmp_path / "site" / image.name).read_bytes() == image.read_bytes()


def test_the_page_names_the_manifest_and_loads_nothing_from_elsewhere(entourage_board: Typed, tmp_path: Path) -> None:
    image = tmp_path / "image.bin"
    image.write_bytes(an_image("esp32"))
    entourage_board("page", tmp_path, image)

    page = (tmp_path / "index.html").read_text()

    assert re.findall(r'(?:src|href|manifest)="([^"]*)"', page) == ["esp-web-tools/install-button.js", "manifest.json"]
    assert "<noscript>" in page


def test_two_images_for_one_chip_and_what_is_none_are_refused(entourage_board: Typed, tmp_path: Path) -> None:
    one, other, none = tmp_path / "one.bin", tmp_path / "other.bin", tmp_path / "none.bin"
    one.write_bytes(an_image("esp32"))
    other.write_bytes(an_image("esp32"))
    none.write_bytes(b"")

    twice = entourage_board("page", tmp_path / "site", one, other)
    nothing = entourage_board("page", tmp_path / "site", none)

    assert (twice[0], nothing[0]) == (1, 1)
    assert twice[2] == "entourage board page: esp32: two images, and a page can offer one for each chip\n"
    assert "not an image" in nothing[2]
    assert not (tmp_path / "site").exists()
