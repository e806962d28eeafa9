"""`entourage board flash`: esptool against a simulated ROM loader, and what is refused before anything is written."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from esp32_mock_bootloader import mock_bootloader

from tools.board.errors import BoardFailed
from tools.board.image import read_image

Typed = Callable[..., tuple[int, str, str]]
Loader = Callable[[str], str]

NUMBERS = {"esp32": 0, "esp32s3": 9, "esp32c3": 5, "esp32p4": 18}
OFFSETS = {"esp32": 0x1000, "esp32s3": 0, "esp32c3": 0}
PROGRAM, SIZE = 0x10000, 0x20000
MIB = 1 << 20


def header(chip: str) -> bytes:
    """The first 24 octets of a bootloader or a program: magic, one segment, and the chip at 12."""
    return struct.pack("<BBBBI4xH10x", 0xE9, 1, 2, 0x20, 0x40080000, NUMBERS[chip])


def an_image(chip: str, program_for: str | None = None, flash: int = 4 * MIB) -> bytes:
    """Bootloader, partition table, program, laid out as in flash from the chip's offset on."""
    flash_image = bytearray(b"\xff" * (PROGRAM + SIZE))
    offset = OFFSETS.get(chip, 0)
    flash_image[offset : offset + 24] = header(chip)
    table = [(0, 0x00, PROGRAM, SIZE, b"factory"), (1, 0x81, PROGRAM + SIZE, flash - PROGRAM - SIZE, b"vfs")]
    for at, (kind, subtype, where, size, label) in enumerate(table):
        struct.pack_into("<HBBII16sI", flash_image, 0x8000 + 32 * at, 0x50AA, kind, subtype, where, size, label, 0)
    flash_image[PROGRAM : PROGRAM + 24] = header(program_for or chip)
    flash_image[PROGRAM + 24 :] = os.urandom(SIZE - 24)
    return bytes(flash_image[offset:])


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., Path]:
    def make(chip: str, **changes: object) -> Path:
        path = tmp_path / f"{chip}.bin"
        path.write_bytes(an_image(chip, **changes))  # type: ignore[arg-type]
        return path

    return make


@pytest.fixture
def loader() -> Iterator[Loader]:
    """loader("esp32s3") -> where such a chip's ROM answers. It has 4 MiB of flash."""
    with ExitStack() as loaders:

        def start(chip: str) -> str:
            handle = loaders.enter_context(mock_bootloader(chip=chip))
            return f"socket://127.0.0.1:{handle.port()}"

        yield start


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
def test_an_image_is_written_at_the_offset_of_its_chip_and_verified(
    entourage_board: Typed, image: Callable[..., Path], loader: Loader, chip: str
) -> None:
    code, out, err = entourage_board("flash", image(chip), "--port", loader(chip))

    assert code == 0, err
    assert out == f"{chip}.bin is on the {chip}, from {OFFSETS[chip]:#x}, and verified\n"
    assert f"at {OFFSETS[chip]:#010x}" in err and "Hash of data verified" in err
    assert "100" in err  # how far it is


def test_everything_is_erased_first_if_that_is_asked_for(
    entourage_board: Typed, image: Callable[..., Path], loader: Loader
) -> None:
    port = loader("esp32c3")

    without = entourage_board("flash", image("esp32c3"), "--port", port)
    code, _, err = entourage_board("flash", image("esp32c3"), "--port", port, "--erase")

    assert code == 0
    assert "rased successfully" in err and "rased successfully" not in without[2]


def test_an_image_for_another_chip_is_refused_and_nothing_written(
    entourage_board: Typed, image: Callable[..., Path], loader: Loader
) -> None:
    path, port = image("esp32s3"), loader("esp32")

    code, out, err = entourage_board("flash", path, "--port", port)

    assert (code, out) == (1, "")
    assert err == f"entourage board flash: {path}: for esp32s3, and on {port} there is esp32\n"


def test_an_image_for_more_flash_than_there_is_is_refused_and_nothing_written(
    entourage_board: Typed, image: Callable[..., Path], loader: Loader
) -> None:
    path, port = image("esp32s3", flash=8 * MIB), loader("esp32s3")

    code, _, err = entourage_board("flash", path, "--port", port)

    assert code == 1
    assert err == f"entourage board flash: {path}: needs 8192 KiB of flash, on {port} there are 4096 KiB\n"


def test_nobody_at_the_port_is_one_line(entourage_board: Typed, image: Callable[..., Path]) -> None:
    code, out, err = entourage_board("flash", image("esp32"), "--port", "/dev/nothing")

    assert (code, out) == (1, "")
    assert err == "entourage board flash: /dev/nothing: No such file or directory\n"


def test_a_whole_image_says_its_chip_offset_and_end(image: Callable[..., Path]) -> None:
    read = read_image(image("esp32", flash=2 * MIB))

    assert (read.chip, read.offset, read.end) == ("esp32", 0x1000, 2 * MIB)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "not an image for an ESP32 of any kind"),
        (b"#!/bin/sh\n" * 5000, "not an image for an ESP32 of any kind"),
        (an_image("esp32s3")[PROGRAM:], "a program without bootloader and partition table"),
        (an_image("esp32s3")[:0x9000], "says that a program begins at 0x10000, and none does"),
        (an_image("esp32s3", program_for="esp32c3"), "says that a program begins at 0x10000, and none does"),
        (an_image("esp32p4"), "for the chip esp32p4; boards are defined for esp32, esp32c3, esp32s3"),
        (an_image("esp32")[: 0x7000 + 20], "a program without bootloader and partition table"),
        (bytes([0xE9]) + bytes(11) + b"\x63\x00" + bytes(10), "for the chip number 99"),
    ],
)
def test_what_is_no_whole_image_is_refused_by_what_it_is(tmp_path: Path, octets: bytes, reason: str) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(octets)

    with pytest.raises(BoardFailed, match=f"^{path}: .*{reason}"):
        read_image(path)


def test_any_octets_at_all_are_an_image_or_refused(tmp_path: Path) -> None:
    path, good = tmp_path / "image.bin", an_image("esp32c3")
    for at in (0, 1, 12, 13, 0x8000, 0x8002, 0x8004, 0x8007, 0x8008, PROGRAM, PROGRAM + 12):
        for value in (0, 1, 0x7F, 0xFF):
            octets = bytearray(good)
            octets[at] = value
            path.write_bytes(octets)
            try:
                assert read_image(path).chip in OFFSETS
            except BoardFailed as error:
                assert str(error).startswith(f"{path}: ")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BoardFailed, match=r"missing.bin: No such file or directory$"):
        read_image(tmp_path / "missing.bin")
