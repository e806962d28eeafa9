"""What a chip can do on USB, held against what its definition says of it. Not run so far: no board was at hand."""

from __future__ import annotations

import pytest

from tools.board.definitions import all_definitions
from tools.board.identity import Identity

pytestmark = pytest.mark.usb


def test_classes_of_our_own_on_usb_are_there_where_the_definition_says_so(identity: Identity) -> None:
    if not identity.esp32:
        pytest.skip("this board is not of the ESP32 family")
    # "ESP32-S3" or "ESP32S3": MicroPython's boards spell it either way, and ESP32 begins them all
    name = identity.machine.rpartition(" with ")[2].replace("-", "").lower()
    chips = {one.entourage.chip: one.entourage for one in all_definitions().values()}
    chip = max((chip for chip in chips if name.startswith(chip)), key=len)

    assert identity.usb_device == (chips[chip].usb == "native")
    assert identity.arch == chips[chip].arch
