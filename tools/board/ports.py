"""Where boards are: serial ports of this machine, and what `--port` may name."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from serial.tools import list_ports

from tools.board.errors import BoardFailed

# USB vendor and product -> what stands behind it, as far as that tells: a bridge's tells nothing of the chip
_KINDS = {
    (0x303A, 0x1001): "ESP32-S3, C3 or C6: USB-Serial/JTAG of the chip",
    (0x303A, 0x4001): "ESP32-S2 or S3: native USB, MicroPython",
    (0x10C4, 0xEA60): "CP210x bridge",
    (0x1A86, 0x7523): "CH340 bridge",
    (0x1A86, 0x55D3): "CH343 bridge",
    (0x1A86, 0x55D4): "CH9102 bridge",
    (0x0403, 0x6001): "FT232R bridge",
    (0x0403, 0x6010): "FT2232 bridge",
}


@dataclass(slots=True, frozen=True)
class Attached:
    """A USB serial port. usb: vendor and product in hexadecimal."""

    port: str
    usb: str
    serial_number: str
    kind: str

    def row(self) -> dict[str, str]:
        return asdict(self)


def attached() -> list[Attached]:
    """Every USB serial port of this machine, by name. Nothing is opened, so nothing is disturbed."""
    found = []
    for one in sorted(list_ports.comports()):
        if one.vid is not None and one.pid is not None:
            kind = _KINDS.get((one.vid, one.pid), one.product or "unknown")
            found.append(Attached(one.device, f"{one.vid:04x}:{one.pid:04x}", one.serial_number or "", kind))
    return found


def resolve(port: str) -> str:
    """The device or URL that `port` means, in the words of mpremote's `connect`: auto, id:SERIAL, port:DEVICE,
    a device, a pseudo-terminal, or socket://HOST:PORT. Raises BoardFailed.
    """
    if port == "auto":
        there = attached()
        if not there:
            raise BoardFailed("no board is attached by USB; --port names one that is reached otherwise")
        if len(there) > 1:
            raise BoardFailed(f"several are attached, --port says which: {', '.join(one.port for one in there)}")
        return there[0].port
    if port.startswith("id:"):
        for one in attached():
            if one.serial_number == port[3:]:
                return one.port
        raise BoardFailed(f"no board with the serial number {port[3:]} is attached")
    device = port.removeprefix("port:")
    if "://" not in device and not os.path.exists(device):
        raise BoardFailed(f"{device}: No such file or directory")
    return device
