"""The serial port: SLIP frames (RFC 1055) of the node's own codec."""

from __future__ import annotations

import os

import serial

from mobile_node.slip import SlipDecoder, SlipEncoder
from tools.attach.errors import AttachFailed

LONGEST = 1500  # octets of a packet, as at the node's end
_QUEUE = 64 * 1024  # octets that may wait for the line
_AT_ONCE = 4096


class Line:
    """One serial port or pseudo-terminal, never waited for."""

    def __init__(self, device: str, baud: int) -> None:
        """Raises AttachFailed."""
        self.device = device
        try:
            self._port = serial.Serial(device, baud, timeout=0, write_timeout=0, exclusive=True)
        except (OSError, ValueError) as error:
            raise AttachFailed(f"{device}: {reason_of(error)}") from error
        self._decoder = SlipDecoder(LONGEST)
        self._encoder = SlipEncoder(_QUEUE)
        self._piece = bytearray(_AT_ONCE)

    def fileno(self) -> int:
        return int(self._port.fileno())

    def close(self) -> None:
        self._port.close()

    @property
    def waits(self) -> bool:
        """Whether there is something to write."""
        return len(self._encoder) > 0

    def read(self) -> list[bytes]:
        """The packets that have come. Raises AttachFailed when the line is gone."""
        octets, found, at = self._read(), [], 0
        while at < len(octets):
            at = self._decoder.take(octets, at, len(octets))
            if self._decoder.size:
                found.append(bytes(self._decoder.packet[: self._decoder.size]))
        return found

    def _read(self) -> bytes:
        try:
            octets = os.read(self.fileno(), _AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise AttachFailed(f"{self.device} is gone: {error.strerror}") from error
        if not octets:
            raise AttachFailed(f"{self.device} is gone")
        return octets

    def send(self, packet: bytes) -> None:
        """As far as there is room for it; what there is none for is lost, as on any link. Raises AttachFailed."""
        self._encoder.put(packet, 0, len(packet))
        self.write()

    def write(self) -> None:
        """What the line takes now. Raises AttachFailed when it is gone."""
        try:
            while size := self._encoder.peek(self._piece):
                self._encoder.sent(os.write(self.fileno(), memoryview(self._piece)[:size]))
        except BlockingIOError:
            return
        except OSError as error:
            raise AttachFailed(f"{self.device} is gone: {error.strerror}") from error


def reason_of(error: OSError | ValueError) -> str:
    """pyserial tells some of its troubles in words alone, with another error's inside."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if "lock" in str(error):
        return "another program has it"
    return "it is no serial port, or cannot do that" if "configure" in str(error) else str(error)
