"""What the configuration says of a board's links and of the board, checked key by key (as runtime/fields.py does)."""

from mip4.address import is_unicast, parse
from runtime.fields import REQUIRED, a_list, host_or_any, number, one_of, or_none, text, unique

_PINS = 48  # the highest GPIO of any chip


def _ssid(value, folder: str) -> str:
    if len(text(value).encode()) > 32:
        raise ValueError("longer than 32 octets")
    return value


def _password(value, folder: str):
    """Of WPA2; None: an open network."""
    if value is not None and not 8 <= len(text(value).encode()) <= 63:
        raise ValueError("a WPA password has 8 to 63 octets")
    return value


def _address(value, folder: str):
    """ "dhcp" as it is, "A.B.C.D/N" as (address, prefix length)."""
    if value == "dhcp":
        return value
    address, slash, length = text(value).partition("/")
    if not slash or not length.isdigit() or not 1 <= int(length) <= 31 or not is_unicast(parse(address)):
        raise ValueError('neither "dhcp" nor ADDRESS/PREFIX-LENGTH: %s' % value)
    return parse(address), int(length)


def _host_name(value, folder: str) -> str:
    if len(text(value)) > 32 or not all([one.isalpha() or one.isdigit() or one == "-" for one in value]):
        raise ValueError("letters, digits and hyphens, 32 at most: %s" % value)
    return value


def _pins(value, folder: str):
    """[TX, RX]; where there are none, the usual ones of the chip."""
    if len(a_list(value)) != 2 or value[0] == value[1]:
        raise ValueError("not two pins: [TX, RX]")
    return tuple([_pin(one, folder) for one in value])


def _voltages(value, folder: str) -> tuple:
    """[empty, full], mV at the pin."""
    if len(a_list(value)) != 2 or not 0 <= number(0, 5000)(value[0], folder) < number(0, 5000)(value[1], folder):
        raise ValueError("not two voltages in mV: [EMPTY, FULL]")
    return tuple(value)


def _pin(value, folder: str) -> int:
    return number(0, _PINS)(value, folder)


def uplink() -> list:
    return [
        ("ssid", REQUIRED, _ssid),
        ("password", None, _password),
        ("priority", 0, number(0, 255)),  # the highest that can be had is taken
        ("address", "dhcp", _address),
        ("gateway", "", host_or_any),
    ]


def downlink() -> list:
    return [
        ("kind", REQUIRED, one_of("wifi-ap", "slip")),
        ("name", None, or_none(text)),
        ("ssid", None, or_none(_ssid)),
        ("password", None, _password),
        ("stations", None, or_none(number(1, 64))),  # at once; None: as many as the chip takes, or 8
        ("port", None, or_none(one_of("usb", "uart"))),
        ("baud", 115200, number(9600, 5000000)),
        ("pins", None, or_none(_pins)),
    ]


def recorder() -> list:
    return [
        ("gps", "", one_of("", "uart1", "uart2")),
        ("gps_pins", None, or_none(_pins)),
        ("marker", None, or_none(_pin)),  # a button to ground; the one marked BOOT will do
        ("battery", None, or_none(_pin)),  # of an ADC, behind a divider of two equal resistors if not said otherwise
        ("battery_mv", [1650, 2100], _voltages),
    ]


def further() -> list:
    """Of the board itself."""
    return [
        ("hostname", "entourage", _host_name),
        ("portal", None, _password),  # its password; None: there is none
        ("button", None, or_none(_pin)),  # held at the start, the prompt is left alone; None: the one marked BOOT
        ("led", None, or_none(_pin)),
    ]


def check_links(config: dict) -> None:
    """Raises ValueError for links that each may be, but not together."""
    if not config["uplinks"]:
        raise ValueError("uplinks: none")
    unique("uplinks", [one["ssid"] for one in config["uplinks"]])
    for at, one in enumerate(config["downlinks"]):
        key = "ssid" if one["kind"] == "wifi-ap" else "port"
        if one[key] is None:
            raise ValueError("downlinks[%d].%s: missing" % (at, key))
        if one["name"] is None:
            one["name"] = "ap" if key == "ssid" else one["port"]
    unique("downlinks", [one["name"] for one in config["downlinks"]])
    unique("downlinks", [one["port"] or one["kind"] for one in config["downlinks"]])  # one radio, one port of a name
    if config["portal"]:
        radio = [one for one in config["downlinks"] if one["kind"] == "wifi-ap"]
        if not radio or radio[0]["password"] is None:
            raise ValueError("portal: it is shown on a wifi-ap downlink that has a password, or to everybody")
