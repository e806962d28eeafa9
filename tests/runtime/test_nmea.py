"""Sentences as GPS receivers write them, and what is read out of them."""

import datetime

import pytest

from runtime.nmea import Nmea

# As receivers wrote them: the classic example of the NMEA literature, a u-blox, a Quectel, and one in the south-west.
CLASSIC = b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n"
UBLOX = b"$GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091202,,,A*57\r\n"
GGA = b"$GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,*5B\r\n"
LOST = b"$GPRMC,,V,,,,,,,,,,N*53\r\n"


def sentence(text: str) -> bytes:
    total = 0
    for octet in text.encode():
        total ^= octet
    return f"${text}*{total:02X}\r\n".encode()


def test_a_place_is_read_to_the_centimetre():
    fix = Nmea().feed(UBLOX)[0]

    assert fix["latitude"] == 472852395  # 47° 17.11437'
    assert fix["longitude"] == 85652537
    assert fix["speed"] == 0


def test_time_is_ms_since_1970():
    fix = Nmea().feed(UBLOX)[0]

    expected = datetime.datetime(2002, 12, 9, 8, 35, 59, tzinfo=datetime.UTC)
    assert fix["utc"] == int(expected.timestamp()) * 1000


@pytest.mark.parametrize("date", ["290224", "010324", "311299", "010100", "281126"])
def test_every_date_is_the_calendars(date):
    fix = Nmea().feed(sentence(f"GNRMC,235959.250,A,4807.038,N,01131.000,E,1.0,0.0,{date},,,A"))[0]

    expected = datetime.datetime.strptime(date, "%d%m%y").replace(hour=23, minute=59, second=59, tzinfo=datetime.UTC)
    if expected.year < 2000:
        expected = expected.replace(year=expected.year + 100)
    assert fix["utc"] == int(expected.timestamp()) * 1000 + 250


def test_speed_is_in_cm_a_second_and_a_short_time_is_enough():
    fix = Nmea().feed(CLASSIC)[0]

    assert fix["speed"] == 1152  # 22.4 knots


def test_the_south_and_the_west_are_negative():
    fix = Nmea().feed(sentence("GNRMC,120000.00,A,3351.5160,S,07040.1234,W,10.0,0.0,010126,,,A"))[0]

    assert (fix["latitude"], fix["longitude"]) == (-338586000, -706687233)


def test_height_and_satellites_come_with_the_next_place():
    fix = Nmea().feed(GGA + UBLOX)[0]

    assert (fix["height"], fix["satellites"]) == (4996, 8)


def test_a_receiver_that_is_lost_says_nothing():
    nmea = Nmea()

    assert nmea.feed(LOST) == [] and nmea.wrong == 0


def test_pieces_of_any_size_make_the_same():
    whole = GGA + UBLOX + LOST + CLASSIC
    expected = Nmea().feed(whole)

    for size in (1, 2, 7, 50):
        nmea = Nmea()
        assert [fix for at in range(0, len(whole), size) for fix in nmea.feed(whole[at : at + size])] == expected
    assert len(expected) == 2


@pytest.mark.parametrize(
    "octets",
    [
        UBLOX.replace(b"*57", b"*58"),
        UBLOX.replace(b"*57", b"*zz"),
        UBLOX.replace(b"4717", b"4718"),
        UBLOX[1:],
        b"\xff\x00garbage\n",
        sentence("GPRMC,083559.00,A"),
        sentence("GPRMC,0x3559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091202,,,A"),
        sentence("GPRMC,083559.00,A,9917.11437,N,00833.91522,E,0.004,77.52,091202,,,A"),
        sentence("GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,321302,,,A"),
        sentence("GPRMC," + "1" * 120),
    ],
)
def test_what_is_wrong_is_counted_and_is_no_place(octets):
    nmea = Nmea()

    assert nmea.feed(octets) == []
    assert nmea.wrong == 1
    assert len(nmea.feed(UBLOX)) == 1  # and the next one is read


def test_a_line_without_end_takes_no_room():
    nmea = Nmea()
    for _ in range(1000):
        nmea.feed(b"x" * 100)

    assert len(nmea._line) <= 120
