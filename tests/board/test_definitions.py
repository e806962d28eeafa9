"""boards/: nothing of it can be built here, so every name in it is held against what was read where it is defined."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools.board.definitions import BOARDS, all_definitions
from tools.board.errors import BoardFailed
from tools.board.package import package_json
from tools.board.payload import FIRMWARE, compiled, packages

KNOWN = json.loads((Path(__file__).parent / "known.json").read_text())
DEFINITIONS = all_definitions()
IMAGES = [name for name, one in DEFINITIONS.items() if not one.entourage.image]
SECTOR, PROGRAM_ALIGNMENT, FIRST = 0x1000, 0x10000, 0x9000
PORT_FOLDER = "$(PORT_DIR)"

Partition = tuple[str, str, str, int, int]


def settings(path: Path) -> dict[str, str]:
    """Of an sdkconfig fragment; a line that is none fails."""
    found = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"(CONFIG_\w+)=(.*)", line)
            assert match is not None, f"{path.name}: {line}"
            assert match[1] not in found, f"{path.name}: {match[1]} twice"
            found[match[1]] = match[2]
    return found


def partitions(name: str) -> list[Partition]:
    lines = [line for line in (BOARDS / name / "partitions.csv").read_text().splitlines() if not line.startswith("#")]
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    return [(row[0], row[1], row[2], int(row[3], 0), int(row[4], 0)) for row in rows]


class Manifest:
    """A manifest.py as MicroPython's build reads it, as far as ours go. frozen: packages; theirs: not in our tree."""

    def __init__(self, board: Path) -> None:
        self._board = board
        self.frozen: list[str] = []
        self.theirs: list[str] = []

    def read(self, path: Path) -> Manifest:
        def include(named: str) -> None:
            if named.startswith(PORT_FOLDER):
                self.theirs.append(named)
            else:
                self.read(Path(named.replace("$(BOARD_DIR)", str(self._board))).resolve())

        def package(named: str, opt: int = 0) -> None:
            assert (path.parent / named / "__init__.py").exists(), named
            assert 0 <= opt <= 3
            self.frozen.append(named)

        exec(path.read_text(), {"include": include, "package": package})
        return self


def test_boards_for_each_of_the_three_chips_are_there_as_stock_and_as_image() -> None:
    assert {(one.entourage.chip, one.entourage.forwards) for one in DEFINITIONS.values()} == {
        (chip, forwards) for chip in ("esp32", "esp32s3", "esp32c3") for forwards in (False, True)
    }


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_board_json_says_what_is_known_of_the_chip(name: str) -> None:
    one = DEFINITIONS[name]

    assert one.mcu == one.entourage.chip
    assert one.deploy_options.flash_offset == KNOWN["flash_offsets"][one.mcu]["offset"]
    assert one.entourage.stations == KNOWN["stations"][one.mcu]
    assert one.entourage.arch == ("rv32imc" if one.mcu == "esp32c3" else "xtensawin")
    assert one.entourage.usb == {"esp32": "bridge", "esp32s3": "native", "esp32c3": "serial"}[one.mcu]
    assert one.entourage.image in ("", name)
    assert set(one.features) <= set(KNOWN["features"])


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_board_has_a_page_with_its_offset_that_says_what_was_never_run(name: str) -> None:
    one = DEFINITIONS[name]

    page = (BOARDS / name / "README.md").read_text()

    assert [(BOARDS / name / path).exists() for path in one.deploy] == [True]
    for section in ("## Wiring", "## Flash", "## What it can carry", "## Limits"):
        assert section in page
    assert f"`{one.deploy_options.flash_offset}`" in page
    assert f"{one.entourage.stations} stations" in page
    assert "never been run" in page
    assert one.entourage.image or "github.com/micropython/micropython" in page


@pytest.mark.parametrize("name", IMAGES)
def test_every_option_is_one_of_the_sdk_with_a_value_it_takes(name: str) -> None:
    for path in (BOARDS / "common" / "sdkconfig.entourage", BOARDS / name / "sdkconfig.board"):
        for option, value in settings(path).items():
            known = KNOWN["options"][option]
            if known["type"] == "bool":
                assert value in ("y", "n"), option
            else:
                assert known["range"][0] <= int(value) <= known["range"][1], option


def test_an_image_forwards_reassembles_and_keeps_what_python_is_late_for() -> None:
    common = settings(BOARDS / "common" / "sdkconfig.entourage")

    assert common["CONFIG_LWIP_IP_FORWARD"] == common["CONFIG_LWIP_L2_TO_L3_COPY"] == "y"  # the SDK: both, or neither
    assert common["CONFIG_LWIP_IP4_REASSEMBLY"] == "y"
    assert common["CONFIG_LWIP_DHCPS"] == "y"
    assert int(common["CONFIG_LWIP_UDP_RECVMBOX_SIZE"]) < int(common["CONFIG_LWIP_TCPIP_RECVMBOX_SIZE"])


@pytest.mark.parametrize("name", IMAGES)
def test_the_build_file_names_the_chip_and_fragments_that_exist(name: str) -> None:
    text = (BOARDS / name / "mpconfigboard.cmake").read_text()
    common = (BOARDS / "common" / "image.cmake").read_text()

    listed = re.search(r"set\(SDKCONFIG_DEFAULTS\n(.*?)\)", text, re.DOTALL)

    assert f"set(IDF_TARGET {DEFINITIONS[name].mcu})" in text
    assert "include(${MICROPY_BOARD_DIR}/../common/image.cmake)" in text
    assert listed is not None
    assert set(listed[1].split()) <= set(KNOWN["fragments"])
    assert listed[1].split()[0] == "boards/sdkconfig.base"
    for option in re.findall(r"(CONFIG_\w+)=", common):
        assert option in KNOWN["options"]
    for path in re.findall(r"\$\{MICROPY_BOARD_DIR\}(/[\w./-]+)", common):
        assert (BOARDS / name).joinpath(*path.split("/")).exists(), path
    assert text.index("set(SDKCONFIG_DEFAULTS") < text.index("include(")


@pytest.mark.parametrize("name", IMAGES)
def test_the_header_defines_macros_of_micropython(name: str) -> None:
    macros = dict(re.findall(r"^#define (\w+)\s+(.+)$", (BOARDS / name / "mpconfigboard.h").read_text(), re.MULTILINE))

    assert set(macros) <= set(KNOWN["macros"])
    assert macros["MICROPY_PY_BLUETOOTH"] == "(0)"  # there is no sdkconfig.ble among the fragments
    assert macros["MICROPY_HW_MCU_NAME"].strip('"').lower().replace("-", "") == DEFINITIONS[name].mcu


@pytest.mark.parametrize("name", IMAGES)
def test_the_manifest_freezes_every_package_that_a_board_is_given(name: str) -> None:
    manifest = Manifest(BOARDS / name).read(BOARDS / name / "manifest.py")

    assert sorted(manifest.frozen) == packages()
    assert set(manifest.theirs) <= set(KNOWN["manifests"])


@pytest.mark.parametrize("name", IMAGES)
def test_partitions_lie_in_order_aligned_and_inside_the_flash(name: str) -> None:
    table = partitions(name)

    end = FIRST
    for label, kind, _, offset, size in table:
        assert offset >= end, f"{label} overlaps"
        assert offset % (PROGRAM_ALIGNMENT if kind == "app" else SECTOR) == 0, label
        assert size % (PROGRAM_ALIGNMENT if kind == "app" else SECTOR) == 0, label
        assert 0 < len(label) < 17
        end = offset + size
    assert end == DEFINITIONS[name].entourage.flash
    assert len({label for label, *_ in table}) == len(table)


@pytest.mark.parametrize("name", IMAGES)
def test_an_update_over_the_air_fits_beside_the_program_that_runs(name: str) -> None:
    table = {label: (kind, subtype, size) for label, kind, subtype, _, size in partitions(name)}

    assert table["ota_0"][:2] == ("app", "ota_0") and table["ota_1"][:2] == ("app", "ota_1")
    assert table["ota_0"][2] == table["ota_1"][2]
    assert table["otadata"] == ("data", "ota", 0x2000)  # ESP-IDF: two sectors
    assert table["nvs"][:2] == ("data", "nvs") and table["nvs"][2] >= 0x3000
    assert table["phy_init"][:2] == ("data", "phy")
    assert table["vfs"][:2] == ("data", "fat")  # MicroPython looks for this name
    files = compiled(DEFINITIONS[name].entourage.arch)
    frozen = sum(len(octets) for path, octets in files.items() if path.split("/")[0] in packages())
    assert KNOWN["program"]["octets"] + frozen < table["ota_0"][2]


@pytest.mark.parametrize("name", IMAGES)
def test_the_flash_size_of_the_build_is_that_of_the_table(name: str) -> None:
    chosen = [option for option, value in settings(BOARDS / name / "sdkconfig.board").items() if value == "y"]
    sizes = [int(option[len("CONFIG_ESPTOOLPY_FLASHSIZE_") : -2]) for option in chosen if "FLASHSIZE" in option]

    assert [size << 20 for size in sizes] == [DEFINITIONS[name].entourage.flash]


def test_the_package_for_mip_lists_what_the_tree_has() -> None:
    assert (FIRMWARE / "package.json").read_text() == package_json(), "run: python -m tools.board.package"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"entourage": None}, "missing required field `entourage`"),
        ({"flash": "4MB"}, "unknown field `flash`"),
        ({"mcu": 32}, "Expected `str`"),
    ],
)
def test_a_definition_that_is_not_as_it_should_be_is_refused_with_its_file(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    document = json.loads((BOARDS / "ESP32_GENERIC" / "board.json").read_text())
    document = {key: value for key, value in {**document, **change}.items() if value is not None}
    folder = tmp_path / "MINE"
    folder.mkdir()
    (folder / "board.json").write_text(json.dumps(document))

    with pytest.raises(BoardFailed, match=f"{folder / 'board.json'}: .*{reason}"):
        all_definitions(tmp_path)
