"""What is known of each kind of board before one is attached: boards/*/board.json."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tools.board.errors import BoardFailed

BOARDS = Path(__file__).parents[2] / "boards"


class Entourage(msgspec.Struct, forbid_unknown_fields=True):
    """Our own part of a board.json. chip: as esptool calls it. arch: of mpy-cross. forwards: its lwIP routes between
    interfaces. usb: "native" (classes of our own), "serial" (a fixed port of the chip), "bridge". flash: octets, at
    least. stations: the most that its access point takes. image: name of MicroPython's board, "" where it is ours.
    """

    chip: str
    arch: str
    forwards: bool
    usb: str
    flash: int
    stations: int
    image: str


class DeployOptions(msgspec.Struct, forbid_unknown_fields=True):
    flash_offset: str


class Definition(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A board.json, in the form that MicroPython's own build reads, with the key `entourage` added."""

    name: str = ""
    deploy: list[str]
    deploy_options: DeployOptions
    docs: str
    features: list[str]
    images: list[str]
    mcu: str
    product: str
    thumbnail: str
    url: str
    vendor: str
    entourage: Entourage

    @property
    def flash_offset(self) -> int:
        """Where the image of bootloader, partition table and program begins."""
        return int(self.deploy_options.flash_offset, 0)


def all_definitions(folder: Path = BOARDS) -> dict[str, Definition]:
    """Name -> definition. Raises BoardFailed for a file that is not as it should be."""
    found = {}
    for path in sorted(folder.glob("*/board.json")):
        try:
            definition = msgspec.json.decode(path.read_bytes(), type=Definition)
        except (OSError, msgspec.DecodeError) as error:
            raise BoardFailed(f"{path}: {error}") from error
        definition.name = path.parent.name
        found[definition.name] = definition
    return found
