"""What a board says it can carry, by its chip, its image and its configuration; and what it refuses, and why."""

from __future__ import annotations

from typing import Any

import pytest

from port_esp32.carrying import settle
from port_esp32.chip import chip_of
from port_esp32.fields import check_links
from runtime.errors import ConfigurationError

STOCK, OURS = "Generic ESP32 module with ESP32", "Entourage node with ESP32-S3"
RADIO = {"kind": "wifi-ap", "name": "ap", "stations": None, "port": None}
LINE = {"kind": "slip", "name": "laptop", "stations": None, "port": "uart"}


def config(*downlinks: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual = {"mode": "auto", "link_mtu": 1500, "delivery": "direct", "own_session": "", "applications": ["telemetry"],
             "recorder": None}  # fmt: skip
    return {**usual, "downlinks": [dict(one) for one in downlinks], **more}


@pytest.mark.parametrize(
    "machine, name, stations, usb, ours",
    [
        ("Generic ESP32 module with ESP32", "ESP32", 15, False, False),
        ("Generic ESP32S3 module with ESP32S3", "ESP32S3", 15, True, False),
        ("ESP32C3 module with ESP32C3", "ESP32C3", 10, False, False),
        ("Generic ESP32C6 module with ESP32C6", "ESP32C6", 10, False, False),
        ("Entourage node with ESP32-S3", "ESP32S3", 15, True, True),
        ("Entourage node with ESP32-C3", "ESP32C3", 10, False, True),
        ("LOLIN_C3_MINI with ESP32-C3FH4", "ESP32C3", 10, False, False),
        ("something else", "ESP32", 15, False, False),
    ],
)
def test_a_chip_and_an_image_are_known_by_what_the_machine_is_called(machine, name, stations, usb, ours):
    chip = chip_of(machine)

    assert (chip.name, chip.stations, chip.usb, chip.ours) == (name, stations, usb, ours)


def test_on_micropythons_image_a_serial_device_and_applications_are_carried_from_an_address_of_its_own():
    document = config(RADIO, LINE)

    refused = settle(document, chip_of(STOCK))

    assert document["mode"] == "co-located"
    assert document["link_mtu"] == 1280  # of fragments there would be nothing left
    assert [one["carried"] for one in document["downlinks"]] == [False, True]
    assert len(refused) == 1 and refused[0].startswith("devices on ap are refused: this image does not forward")


def test_on_our_image_devices_on_its_radio_are_carried_at_an_agent_and_nothing_else_is():
    document = config(RADIO, LINE)

    refused = settle(document, chip_of(OURS))

    assert document["mode"] == "foreign-agent"
    assert [one["carried"] for one in document["downlinks"]] == [True, False]
    assert (document["own_session"], document["applications"]) == (None, [])
    assert [line.split(" is refused")[0] for line in refused] == [
        "a device on laptop", "application telemetry", "the node's own session",
    ]  # fmt: skip


def test_our_image_without_a_radio_link_does_what_micropythons_does():
    document = config(LINE)

    assert settle(document, chip_of(OURS)) == []
    assert document["mode"] == "co-located"


@pytest.mark.parametrize(
    "machine, document, says",
    [
        (STOCK, config(RADIO, mode="foreign-agent"), "mode: at a foreign agent's care-of address nothing could"),
        (OURS, config(LINE, mode="foreign-agent"), "there is no wifi-ap downlink"),
        (OURS, config(RADIO, delivery="encapsulating"), "delivery: what lwIP forwards"),
        (STOCK, config(RADIO, own_session=None, applications=[]), "own_session: none, and neither applications nor"),
        (STOCK, config({**RADIO, "stations": 16}), "downlinks[0].stations: the access point of an ESP32 takes 15"),
        (STOCK, config({**LINE, "port": "usb"}), "downlinks[0].port: USB is the prompt of an ESP32"),
    ],
)
def test_what_would_carry_nothing_is_refused_with_the_key_and_the_reason(machine, document, says):
    with pytest.raises(ConfigurationError) as error:
        settle(document, chip_of(machine))

    assert says in str(error.value)


@pytest.mark.parametrize(
    "uplinks, downlinks, says",
    [
        ([], [], "uplinks: none"),
        ([{"ssid": "a"}, {"ssid": "a"}], [], 'uplinks: "a" is there twice'),
        (
            [{"ssid": "a"}],
            [{"kind": "wifi-ap", "ssid": None, "port": None, "name": None}],
            "downlinks[0].ssid: missing",
        ),
        ([{"ssid": "a"}], [{"kind": "slip", "ssid": None, "port": None, "name": None}], "downlinks[0].port: missing"),
        (
            [{"ssid": "a"}],
            [{"kind": "slip", "ssid": None, "port": "uart", "name": name} for name in ("one", "two")],
            'downlinks: "uart" is there twice',
        ),
    ],
)
def test_links_that_cannot_be_together_are_refused(uplinks, downlinks, says):
    with pytest.raises(ValueError) as error:
        check_links({"uplinks": uplinks, "downlinks": downlinks, "portal": None})

    assert says in str(error.value)
