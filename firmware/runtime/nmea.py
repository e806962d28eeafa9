"""Reads what a GPS receiver says (NMEA 0183): where we are, by RMC, with height and satellites of GGA. No floats."""

from binascii import unhexlify

from mip4.compat import const

_LONGEST = const(120)  # octets of a sentence; the standard's own bound of 82 is broken by many receivers
_UNIT = const(10000000)  # of a degree: 1 cm
_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)  # before each month


class Nmea:
    """Octets in pieces of any size; fixes come out. What has no right checksum is counted in `wrong` and is nothing."""

    def __init__(self):
        self.wrong = 0
        self._line = b""
        self._height = None
        self._satellites = None

    def feed(self, octets: bytes) -> list:
        """Fixes, each a dict: latitude, longitude (1e-7 degrees), speed (cm/s), utc (ms since 1970), height (dm or
        None), satellites (or None).
        """
        lines = (self._line + octets).split(b"\n")
        self._line = lines[-1][-_LONGEST:]
        found = []
        for line in lines[:-1]:
            fields = _fields(line.strip())
            if fields is None:
                self.wrong += 1
                continue
            try:
                reader = _SENTENCES.get(fields[0][2:])  # without the talker: GP, GN, GL, ...
                fix = reader(self, fields) if reader else None
            except (ValueError, IndexError):
                self.wrong += 1
                continue
            if fix:
                found.append(fix)
        return found

    def _gga(self, fields: list) -> None:
        good = fields[6] not in (b"", b"0")
        self._satellites = int(fields[7]) if good and fields[7] else None
        self._height = _scaled(fields[9], 1) if good and fields[9] else None

    def _rmc(self, fields: list):
        if fields[2] != b"A":  # V: the receiver does not know where it is
            return None
        return {
            "utc": _utc(fields[9], fields[1]),
            "latitude": _degrees(fields[3], 2, fields[4], b"S", 90),
            "longitude": _degrees(fields[5], 3, fields[6], b"W", 180),
            "speed": _scaled(fields[7], 3) * 514444 // 10000000 if fields[7] else 0,  # a knot is 51.4444 cm/s
            "height": self._height,
            "satellites": self._satellites,
        }


_SENTENCES = {b"RMC": Nmea._rmc, b"GGA": Nmea._gga}


def _fields(line: bytes):
    """None unless it is a whole sentence whose checksum is right."""
    if line[:1] != b"$" or line[-3:-2] != b"*" or len(line) > _LONGEST:
        return None
    total = 0
    for octet in line[1:-3]:
        total ^= octet
    try:
        return line[1:-3].split(b",") if unhexlify(line[-2:])[0] == total else None
    except ValueError:
        return None


def _scaled(text: bytes, places: int) -> int:
    """A decimal number times ten to the power of `places`; further digits are cut off. Raises ValueError."""
    whole, _, rest = text.partition(b".")
    sign = -1 if whole[:1] == b"-" else 1
    whole = whole.lstrip(b"-")
    if not (whole + rest).isdigit():
        raise ValueError("not a number")
    return sign * int(whole + (rest + b"0" * places)[:places])


def _degrees(text: bytes, digits: int, side: bytes, negative: bytes, most: int) -> int:
    """dddmm.mmmm, in units of 1e-7 degrees. Raises ValueError."""
    minutes = _scaled(text[digits:], 5)
    found = int(text[:digits]) * _UNIT + (minutes * 10 + 3) // 6  # a minute is a 60th; 1e-5 of it, times 1e7
    if minutes < 0 or found > most * _UNIT:
        raise ValueError("not a place")
    return -found if side == negative else found


def _utc(date: bytes, time: bytes) -> int:
    """ddmmyy and hhmmss.sss in ms since 1970; two digits of a year are of this century. Raises ValueError."""
    day, month, year = int(date[:2]), int(date[2:4]), 2000 + int(date[4:6])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError("not a date")
    days = (year - 1970) * 365 + (year - 1969) // 4 + _DAYS[month - 1] + day - 1 + (year % 4 == 0 and month > 2)
    seconds = (days * 24 + int(time[:2])) * 3600 + int(time[2:4]) * 60
    return seconds * 1000 + _scaled(time[4:], 3)
