"""A serial port of the chip."""

import machine

from runtime.errors import KernelRefused


def open_uart(number: int, pins, baud: int, buffer: int):
    """A port that never blocks. pins: (TX, RX). buffer: octets of the driver's, each way. Raises KernelRefused."""
    transmit, receive = pins
    try:
        return machine.UART(number, baud, tx=transmit, rx=receive, timeout=0, rxbuf=buffer, txbuf=buffer)
    except (OSError, ValueError) as error:
        raise KernelRefused("UART%d on GPIO %d and %d: %s" % (number, transmit, receive, error))
