"""Sign and verify registration messages (RFC 5944 §3.5). Nowhere else is there a digest or a key."""

import hashlib

from mip4.compat import const, equal, md5, started
from mip4.const import CHAP_SPI
from mip4.errors import BadAaaAuthenticator, BadAuthenticator
from mip4.extensions import MnAaaAuthentication

_BLOCK = const(64)  # octets, of MD5, SHA-1 and SHA-256 alike (RFC 2104 §2)
_SPI = const(4)  # octets
_MD5 = const(16)  # octets
_CHALLENGE_TAIL = const(237)  # octets of a challenge that CHAP takes at most at the end (RFC 4721 §8)


class Hmac:
    """HMAC (RFC 2104) under one key; the padded keys are digested once, where digests can be copied."""

    def __init__(self, digest, key: bytes):
        if len(key) > _BLOCK:
            key = digest(key).digest()
        key = key + bytes(_BLOCK - len(key))
        self._inner = started(digest, bytes([octet ^ 0x36 for octet in key]))
        self._outer = started(digest, bytes([octet ^ 0x5C for octet in key]))

    def __call__(self, octets: bytes) -> bytes:
        inner = self._inner()
        inner.update(octets)
        outer = self._outer()
        outer.update(inner.digest())
        return outer.digest()


class KeyedMd5:
    """Prefix+suffix keyed MD5. uncovered: octets at the end of what is handed over that it leaves out."""

    def __init__(self, key: bytes, uncovered: int):
        self._key = key
        self._uncovered = uncovered

    def __call__(self, octets: bytes) -> bytes:
        return md5(self._key + octets[: len(octets) - self._uncovered] + self._key).digest()


ALGORITHMS = {
    "hmac-md5": lambda key: Hmac(md5, key),  # RFC 5944 §3.5.1, the default
    "hmac-sha1": lambda key: Hmac(hashlib.sha1, key),
    "hmac-sha256": lambda key: Hmac(hashlib.sha256, key),
    "keyed-md5": lambda key: KeyedMd5(key, _SPI),  # as RFC 2002 §3.5.1 has it: the SPI, which comes last, is left out
    "keyed-md5-spi": lambda key: KeyedMd5(key, 0),  # as RFC 3344 §3.5.1 has it, and RFC 5944: with the SPI
}


CHAP = "chap"  # what CHAP_SPI means, and no other (RFC 4721 §8)


class SecurityAssociation:
    """A mobility security association (RFC 5944 §1.6): SPI, algorithm, key. Its repr never shows the key.

    authenticator(octets): what belongs behind them.
    """

    __slots__ = ("spi", "algorithm", "authenticator", "_size")

    def __init__(self, spi: int, key: bytes, algorithm: str = "hmac-md5"):
        """Raises ValueError for a reserved SPI, an unknown algorithm or an empty key."""
        if not 256 <= spi <= 0xFFFFFFFF:
            raise ValueError("SPI %d is outside 256..4294967295" % spi)
        if algorithm not in ALGORITHMS:
            raise ValueError("algorithm %s is none of %s" % (algorithm, ", ".join(sorted(ALGORITHMS))))
        if not key:
            raise ValueError("empty key for SPI %d" % spi)
        self.spi = spi
        self.algorithm = algorithm
        self.authenticator = ALGORITHMS[algorithm](key)
        self._size = len(self.authenticator(bytes(4)))

    def __repr__(self) -> str:
        return "SecurityAssociation(spi=%d, %s)" % (self.spi, self.algorithm)

    def sign(self, message: bytes, cls) -> bytes:
        """`message` with the authentication extension `cls` appended, covering all before its authenticator."""
        covered = message + cls.header(self.spi, self._size)
        return covered + self.authenticator(covered)

    def verify(self, datagram: bytes, extension) -> None:
        """Raises BadAuthenticator unless `extension`, decoded from `datagram`, holds under this association."""
        covered = bytes(datagram[: extension.covered()])
        if extension.spi != self.spi or not self.holds(covered, extension.authenticator):
            raise BadAuthenticator("extension %d with SPI %d" % (extension.kind, extension.spi))

    def holds(self, covered: bytes, authenticator: bytes) -> bool:
        return equal(self.authenticator(covered), authenticator)


class AaaAssociation:
    """What a mobile node shares with its AAA server, for MN-AAA Authentication (RFC 4721 §6). Never shows its key.

    Under CHAP_SPI the algorithm is that of §8, into which the foreign agent's challenge goes once more; a node that has
    heard none, as with a care-of address of its own, takes one octet of zero for it.
    """

    __slots__ = ("spi", "algorithm", "_key", "_plain")

    def __init__(self, spi: int, key: bytes, algorithm: str = "hmac-md5"):
        """Raises ValueError as SecurityAssociation does. CHAP_SPI, which that has not, leaves no other algorithm."""
        self.spi = spi
        self.algorithm = algorithm
        self._key = key
        self._plain = None
        if spi != CHAP_SPI:
            self._plain = SecurityAssociation(spi, key, algorithm)
            return
        if algorithm not in ("hmac-md5", CHAP):
            raise ValueError("SPI %d is that of %s, not of %s" % (spi, CHAP, algorithm))
        if not key:
            raise ValueError("empty key for SPI %d" % spi)
        self.algorithm = CHAP

    def __repr__(self) -> str:
        return "AaaAssociation(spi=%d, %s)" % (self.spi, self.algorithm)

    def sign(self, message: bytes, challenge: bytes) -> bytes:
        """`message` with an MN-AAA Authentication appended. challenge: the one that `message` carries, or b""."""
        if self._plain is not None:
            return self._plain.sign(message, MnAaaAuthentication)
        covered = message + MnAaaAuthentication.header(CHAP_SPI, _MD5)
        return covered + self._chap(covered, challenge)

    def verify(self, datagram: bytes, extension, challenge: bytes) -> None:
        """Raises BadAaaAuthenticator unless `extension`, decoded from `datagram`, holds. challenge: as in sign()."""
        covered = bytes(datagram[: extension.covered()])
        expected = self._chap(covered, challenge) if self._plain is None else self._plain.authenticator(covered)
        if extension.spi != self.spi or not equal(expected, extension.authenticator):
            raise BadAaaAuthenticator("extension %d with SPI %d" % (extension.kind, extension.spi))

    def _chap(self, covered: bytes, challenge: bytes) -> bytes:
        challenge = challenge or b"\0"
        inner = md5(covered).digest()
        return md5(challenge[:1] + self._key + inner + challenge[-_CHALLENGE_TAIL:]).digest()


def parse_key(text: str) -> bytes:
    """A configured key, "hex:..." or "text:...", as octets. Raises ValueError, which never shows the key."""
    scheme, colon, value = text.partition(":")
    if scheme + colon == "hex:":
        # int() takes a sign or a space for a digit, and what it raises would show the key.
        if len(value) & 1 or not all([digit in "0123456789abcdefABCDEF" for digit in value]):
            raise ValueError("key: not pairs of hexadecimal digits after hex:")
        return bytes([int(value[at : at + 2], 16) for at in range(0, len(value), 2)])
    if scheme + colon == "text:":
        return value.encode()
    raise ValueError("key: neither hex: nor text:")
