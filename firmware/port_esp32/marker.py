"""A button that marks a moment of the drive in the flight recorder."""

import asyncio

from machine import Pin

from mip4.compat import const

_LOOK_MS = const(10)
_STEADY_MS = const(50)  # a contact bounces for 20 ms at most


async def follow(number: int, mark, log) -> None:
    """For ever: mark() once for each time that the button is pressed, when it is, however long it is held.

    The first edge is the press itself: while the radio scans nothing runs for seconds, and whoever looked then would
    find the button up again. What comes until it has been up for a while is its bouncing. number: GPIO; 0 is pressed.
    """
    pressed = asyncio.ThreadSafeFlag()
    try:
        pin = Pin(number, Pin.IN, Pin.PULL_UP)
        pin.irq(lambda pin: pressed.set(), Pin.IRQ_FALLING)  # allocates nothing, whenever it is called
    except (OSError, ValueError) as error:
        log.warning("no marker: GPIO %d: %s" % (number, error))
        return
    while True:
        await pressed.wait()
        mark()
        up = 0
        while up < _STEADY_MS:
            await asyncio.sleep_ms(_LOOK_MS)
            up = up + _LOOK_MS if pin.value() else 0
        pressed.clear()
