"""What the board keeps in its NVS, away from the files that a person reads and copies: keys, and a few small facts."""

import struct

import esp32

_NAMESPACE = "entourage"
_LONGEST = 128  # octets of a blob
_ACCESS_POINT = "ap"
_STARTS = "starts"
_KEY = "nvs:"


class Keystore:
    """One namespace of NVS. Each write wears flash: nothing is written that is there already."""

    def __init__(self):
        self._nvs = esp32.NVS(_NAMESPACE)
        self._buffer = bytearray(_LONGEST)

    def get(self, name: str) -> bytes:
        """b"" for what was never put."""
        try:
            return bytes(self._buffer[: self._nvs.get_blob(name, self._buffer)])
        except OSError:
            return b""

    def put(self, name: str, octets: bytes) -> None:
        """On the flash when it returns. Raises OSError."""
        if self.get(name) != octets:
            self._nvs.set_blob(name, octets)
            self._nvs.commit()

    def access_point(self):
        """(ssid, bssid) that was joined last, None if there was none."""
        octets = self.get(_ACCESS_POINT)
        return (octets[7:].decode(), octets[:6]) if len(octets) > 7 else None

    def channel(self) -> int:
        """Where that one was, 0 if there was none."""
        octets = self.get(_ACCESS_POINT)
        return octets[6] if len(octets) > 7 else 0

    def put_access_point(self, ssid: str, bssid: bytes, channel: int) -> None:
        """Raises OSError."""
        self.put(_ACCESS_POINT, struct.pack("6sB", bssid, channel) + ssid.encode())

    def starts(self) -> int:
        """How many starts in a row came to nothing, so far."""
        try:
            return self._nvs.get_i32(_STARTS)
        except OSError:
            return 0

    def put_starts(self, count: int) -> None:
        """Raises OSError."""
        if count != self.starts():
            self._nvs.set_i32(_STARTS, count)
            self._nvs.commit()
