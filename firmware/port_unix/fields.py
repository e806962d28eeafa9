"""What the configuration says of this platform's links, checked key by key (as runtime/fields.py does)."""

from mip4.address import is_unicast, parse
from runtime.fields import REQUIRED, host_or_any, number, one_of, or_none, text, unique

_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"


def _interface(value, folder: str) -> str:
    text(value)
    # It also becomes a word of a shell command and of a path
    if len(value) > 15 or value in (".", "..") or not all([one in _NAME for one in value]):
        raise ValueError("not the name of an interface: %s" % value)
    return value


def _uplink_address(value, folder: str):
    """Words "dhcp" and "none" as they are, "A.B.C.D/N" as (address, prefix length)."""
    if value in ("dhcp", "none"):
        return value
    address, slash, length = text(value).partition("/")
    if not slash or not length.isdigit() or int(length) > 32 or not is_unicast(parse(address)):
        raise ValueError('neither "dhcp", "none" nor ADDRESS/PREFIX-LENGTH: %s' % value)
    return parse(address), int(length)


def _device(value, folder: str):
    return value if text(value).startswith("/") else folder + "/" + value


def _kind(value, folder: str) -> str:
    if value == "wifi-ap":
        raise ValueError("there is no %s on this platform" % value)
    return one_of("ethernet", "slip")(value, folder)


def uplink() -> list:
    return [
        ("interface", REQUIRED, _interface),
        ("address", "dhcp", _uplink_address),
        ("gateway", "", host_or_any),  # where the address is given; DHCP names its own
    ]


def downlink() -> list:
    return [
        ("kind", "ethernet", _kind),
        ("interface", None, or_none(_interface)),
        ("device", None, or_none(_device)),
        ("baud", 115200, number(300, 4000000)),
        ("name", None, or_none(text)),
    ]


def recorder() -> list:
    return [("gps", "", lambda value, folder: "" if value == "" else _device(value, folder))]


def further() -> list:
    return []


def check_links(config: dict) -> None:
    """Raises ValueError for links that each may be, but not together."""
    if len(config["uplinks"]) != 1:
        raise ValueError("uplinks: exactly one for now, not %d" % len(config["uplinks"]))
    for at, one in enumerate(config["downlinks"]):
        wanted, other = ("device", "interface") if one["kind"] == "slip" else ("interface", "device")
        if one[wanted] is None or one[other] is not None:
            raise ValueError('downlinks[%d]: of kind "%s" it has a "%s", and no other' % (at, one["kind"], wanted))
        if one["name"] is None:
            one["name"] = one[wanted]
    unique("downlinks", [one["name"] for one in config["downlinks"]])
    unique("uplinks and downlinks", [one["interface"] or one["device"] for one in config["downlinks"]]
           + [one["interface"] for one in config["uplinks"]])  # fmt: skip
