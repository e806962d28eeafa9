"""`machine` as MicroPython 1.29 for ESP32 has it, as far as the node goes."""

import asyncio
import io
import os
import sys
import time

import air
import micropython

_GET_FILENO = 10
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5


def reset_cause() -> int:
    return int(os.getenv("RESET_CAUSE") or PWRON_RESET)


def reset() -> None:
    air.note(reset=1)
    sys.exit(77)


class Pin:
    IN, OUT, PULL_UP = 1, 3, 2
    IRQ_FALLING = 2

    def __init__(self, number, mode=-1, pull=-1, value=None):
        if number > 39:  # of an ESP32
            raise ValueError("invalid pin")
        self._number = number

    def value(self, value=None):
        if value is None:
            return 0 if self._number in air.read().get("buttons", []) else 1
        air.note(pin=self._number, value=value)

    def irq(self, handler, trigger):
        assert trigger == Pin.IRQ_FALLING
        asyncio.create_task(self._watch(handler))

    async def _watch(self, handler) -> None:
        """A contact bounces: four edges down each time, whether it is pressed or let go."""
        before, looks = self.value(), 0
        while True:
            if looks == 100:
                air.note(steady=before, at=time.ticks_ms())
            await asyncio.sleep_ms(2)
            now, looks = self.value(), looks + 1
            if now != before:
                before, looks = now, 0
                for _ in range(4):
                    _interrupt(handler, self)
                    await asyncio.sleep_ms(1)


def _interrupt(handler, pin) -> None:
    """As a hard one would come: whoever allocates is out."""
    micropython.heap_lock()
    try:
        handler(pin)
    finally:
        micropython.heap_unlock()


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin, atten):
        if pin not in range(32, 40):  # ADC1 of an ESP32
            raise ValueError("invalid pin")

    def read_uv(self) -> int:
        return air.read()["battery_uv"]


class WDT:
    def __init__(self, id=0, timeout=5000):
        air.note(watchdog=timeout)

    def feed(self):
        air.note(fed=1)


class Timer:
    PERIODIC = 1

    def __init__(self, number):
        pass

    def init(self, period, mode, callback):
        air.note(timer=period)
        self.callback = callback

    def deinit(self):
        air.note(timer=None)


class UART(io.IOBase):
    """On the pseudo-terminal "uart" of the surroundings, which is raw and non-blocking."""

    def __init__(self, number, baud, tx, rx, timeout, rxbuf, txbuf):
        Pin(tx), Pin(rx)
        air.note(uart=[number, baud, tx, rx])
        self._file = open(air.read()["uart"], "r+b")
        os.system("busybox sh -c 'dd if=/dev/null count=0 oflag=nonblock >&%d' 2>/dev/null" % self._file.fileno())
        self.readinto, self.write, self.close = self._file.readinto, self._file.write, self._file.close

    def ioctl(self, request, argument):
        return self._file.fileno() if request == _GET_FILENO else 0
