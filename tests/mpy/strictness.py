"""Run on either interpreter: mistakes that one of them would swallow, and numbers that one of them would round.

Prints one line each; both interpreters must print the same.
"""

from mip4.address import in_prefix, mask, parse, parse_link, parse_prefix, show
from mip4.authentication import AaaAssociation, SecurityAssociation, parse_key
from mip4.cursor import Cursor, pack
from mip4.discovery import MobilityAgent, PrefixLengths
from mip4.errors import Denied, MipError
from mip4.extensions import MobileHomeAuthentication, Nai
from mip4.identification import Noise, Nonces, Timestamps, from_ms, seconds
from mip4.ip import Packet, checksum
from mip4.messages import RegistrationReply
from mip4.record import Record


class Point(Record):
    __slots__ = ("x", "y")


class Pixel(Record):
    __slots__ = ("x", "y")


def tell(words: str, function) -> None:
    """Print what a call gives or raises. Only texts of our own are compared, hence the short list of errors."""
    try:
        print(words, "gives", function())
    except (MipError, ValueError, TypeError) as error:
        print(words, "raises", type(error).__name__, error)


def refused(mistake) -> str:
    """Whether it is a TypeError; the words are the interpreter's own."""
    try:
        mistake()
    except TypeError:
        return "refused"
    return "taken"


def identifications() -> list:
    timestamps = Timestamps(3976214400000, Noise(b"seed"))
    row = [timestamps.next(now) for now in (0, 1, 1, 999, 86400000)]
    timestamps.resynchronise(0xED0037A8DECAFBAD, 86400000)
    return row + [timestamps.next(86400001)]  # noqa: RUF005, MicroPython has no stars in a list


def nonces() -> list:
    noise = Noise(b"seed")
    one, other = Nonces(noise), Nonces(noise)
    one.answered(0xFFFFFFFF00000001)
    return [one.next(0), other.next(0), one.next(1)]


for letter, bits in (("B", 8), ("H", 16), ("I", 32), ("Q", 64)):
    for value in (0, (1 << bits) - 1, 1 << bits, -1, 70000):
        tell(f"pack {letter} {value}", lambda: pack(letter, value))  # noqa: B023, called at once
tell("pack too few", lambda: pack("HH", 1))
tell("pack too many", lambda: pack("B", 1, 2))
tell("cursor past the end", lambda: Cursor(b"abc").fixed("I"))
tell("cursor within", lambda: Cursor(memoryview(b"\xff\xff\xff\xff\xff\xff\xff\xff!")).fixed("Q"))
tell("cursor take", lambda: Cursor(b"abc", 1).take(3))

tell("record", lambda: Point(1, y=b"\x00two"))
tell("record misspelt", lambda: refused(lambda: Point(1, z=2)))
tell("record twice", lambda: refused(lambda: Point(1, x=2)))
tell("record short", lambda: refused(lambda: Point(1)))
tell("record long", lambda: refused(lambda: Point(1, 2, 3)))
tell("record equality", lambda: [Point(1, 2) == Point(1, 2), Point(1, 2) != Point(1, 2), Point(1, 2) != Pixel(1, 2)])
tell("record as a key", lambda: refused(lambda: hash(Point(1, 2))))
tell("extension repr", lambda: Nai(b"bob"))

tell("reply", lambda: RegistrationReply(0, 70000, 0, 0, 0, []).encode())
tell("identification", lambda: RegistrationReply(0, 0, 0, 0, 1 << 64, []).encode())
tell("NAI of 256", lambda: Nai(bytes(256)).encode())
tell("63 care-of addresses", lambda: MobilityAgent(0, 0, 0, [1] * 63).encode())
tell("64 octets more", lambda: Packet(1, 2, 17, 64, bytes(65516)).encode())
try:
    print(PrefixLengths([256]).encode())
except ValueError:  # the interpreter's own text
    print("prefix length refused")

for text in (
    "203.0.113.7",
    "1.2.3.256",
    "1.2.3.04",
    "1.2.3.+4",
    "1.2.3",
    "1.2.3.\u0664",
    "1.2.3. 4",
    "255.255.255.255",
):
    tell("address", lambda: show(parse(text)))  # noqa: B023, called at once
for text in ("10.0.0.0/8", "10.0.0.1/8", "0.0.0.0/0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8"):
    tell("prefix", lambda: parse_prefix(text))  # noqa: B023, called at once
for text in ("02:00:00:00:00:fF", "02:00:00:00:00:100", "02:00:00:00:00:+1", "2:0:0:0:0:1"):
    tell("link address", lambda: parse_link(text))  # noqa: B023, called at once
tell("mask", lambda: [mask(length) for length in (0, 1, 31, 32)])
tell("in prefix", lambda: [in_prefix(parse("255.1.2.3"), parse("255.0.0.0"), 8), in_prefix(1, 0, 32)])

for text in ("hex:00Ff", "hex:0", "hex:0x", "hex:+1", "hex", "text", "text:\u00e9", "base64:AA=="):
    tell("key", lambda: parse_key(text))  # noqa: B023, called at once
tell("nonces", nonces)
tell("association", lambda: SecurityAssociation(0xFFFFFFFF, b"key"))
tell("reserved SPI", lambda: SecurityAssociation(255, b"key"))
tell("algorithm", lambda: SecurityAssociation(256, b"key", "none"))
tell("MN-AAA association", lambda: AaaAssociation(2, b"key"))
tell("MN-AAA association, empty", lambda: AaaAssociation(2, b""))
tell("MN-AAA association, reserved SPI", lambda: AaaAssociation(3, b"key"))
tell("MN-AAA without a challenge", lambda: AaaAssociation(2, b"key").sign(b"message", b"").hex())
tell("MN-AAA with a long one", lambda: AaaAssociation(2, b"key").sign(b"message", bytes(range(250))).hex())
for algorithm in ("hmac-md5", "hmac-sha1", "hmac-sha256", "keyed-md5", "keyed-md5-spi"):
    association = SecurityAssociation(0xFFFFFFFF, b"k" * 100, algorithm)
    print(algorithm, association.sign(b"message", MobileHomeAuthentication).hex())

tell("identifications", identifications)
tell("milliseconds", lambda: [from_ms(ms) for ms in (0, 1, 999, 3976214400999, 4294967295999)])
tell("seconds", lambda: seconds(0xFFFFFFFFFFFFFFFF))
tell("checksum", lambda: [checksum(b"\xff" * size) for size in (0, 1, 2, 1500, 65535)])
tell("denial", lambda: [Denied(130, "pool empty").code, str(Denied(130, "pool empty"))])
