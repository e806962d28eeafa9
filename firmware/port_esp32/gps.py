"""A GPS receiver on a UART of the board, for the flight recorder."""

import asyncio

from mip4.compat import const
from port_esp32.uart import open_uart
from runtime.errors import KernelRefused
from runtime.nmea import Nmea

_BUFFER = const(2048)  # of the driver: two seconds at 9600 baud, about as long as a scan for networks blocks everything
_POLL_MS = const(100)  # whoever woke for each octet that is readable would do little else
_PIECE = const(256)


async def follow(config: dict, position, log) -> None:
    """For ever: position(fix) for each. What a scan cost is a sentence with a wrong checksum, and the next is whole.

    config: the node's key "recorder". A port that cannot be had is a line in the log, and the node goes on without.
    """
    number = int(config["gps"][-1])
    try:
        stream = open_uart(number, config["gps_pins"], config["gps_baud"], _BUFFER)
    except KernelRefused as error:
        log.warning("no GPS: %s" % error)
        return
    log.info("GPS receiver on UART%d, GPIO %d and %d" % ((number,) + tuple(config["gps_pins"])))
    nmea, piece = Nmea(), bytearray(_PIECE)
    while True:
        size = stream.readinto(piece)
        while size:
            for fix in nmea.feed(bytes(piece[:size])):
                position(fix)
            size = stream.readinto(piece) if size == _PIECE else 0
        await asyncio.sleep_ms(_POLL_MS)
