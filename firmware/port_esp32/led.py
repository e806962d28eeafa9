"""What the board's LED says, for whoever has nothing else to look at."""

import asyncio

from machine import Pin

# What it is doing -> ms on, off, on, ...; a single one is lit
PATTERNS = {
    "joining": (100, 900),  # looking for a Wi-Fi network
    "registering": (500, 500),  # on a network; no session has its address yet
    "serving": (1,),
    "safe mode": (100, 100, 100, 700),  # the node was left alone, the prompt is free
    "unusable": (100, 100),  # config.json cannot be used: the prompt says why
}


class Led:
    """pin: its GPIO, None for a board without one."""

    def __init__(self, pin):
        self._pin = None if pin is None else Pin(pin, Pin.OUT, value=0)

    async def show(self, what) -> None:
        """For ever. what(): which pattern now. Ends at once where there is no LED."""
        while self._pin is not None:
            pattern = PATTERNS[what()]
            if len(pattern) == 1:
                self._pin.value(1)
                await asyncio.sleep_ms(1000)
                continue
            for at, wait in enumerate(pattern):
                self._pin.value(1 - at % 2)
                await asyncio.sleep_ms(wait)
