"""Which chip this is and which image runs on it: what they can do, from what MicroPython calls the machine."""

from mip4.record import Record

OURS = "Entourage node"  # the board name of our images (boards/ENTOURAGE_*)


class Chip(Record):
    """stations: the most that its access point takes at once. button: the GPIO of the one marked BOOT.

    uart: (number, TX, RX) of the serial port for a device. usb: whether a device can have a port of its own on USB.
    ours: whether lwIP forwards, puts together fragments for us, and sends with TTL 255.
    """

    __slots__ = ("name", "stations", "button", "uart", "usb", "ours")


# ESP-IDF, ESP_WIFI_MAX_CONN_NUM in esp_wifi_types_native.h of each chip; the pins are those of boards/*/README.md
_CHIPS = [
    ("ESP32S3", 15, 0, (1, 17, 18), True),
    ("ESP32S2", 15, 0, (1, 17, 18), True),
    ("ESP32C3", 10, 9, (1, 5, 4), False),
    ("ESP32C6", 10, 9, (1, 5, 4), False),
    ("ESP32", 15, 0, (2, 17, 16), False),
]


def chip_of(machine: str) -> Chip:
    """machine: sys.implementation._machine, such as "Generic ESP32S3 module with ESP32S3". A stranger is an ESP32."""
    called = machine.rpartition(" with ")[2].replace("-", "").upper()
    found = [facts for facts in _CHIPS if called.startswith(facts[0])] or _CHIPS[-1:]
    return Chip(*found[0], machine.startswith(OURS))
