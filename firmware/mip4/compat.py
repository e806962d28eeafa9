"""The one place where shared code asks which interpreter it runs on."""

from io import BytesIO

try:
    import hashlib

    from micropython import const

    md5 = hashlib.md5
    STRUCT_CHECKS = False  # its struct.pack wraps what does not fit without a word
    STRICT_UTF8 = False  # its bytes.decode lets surrogates and overlong forms through

    def started(digest, octets):
        """A function that gives a new digest that has been fed `octets`. MicroPython's cannot be copied."""
        return lambda: digest(octets)

    def equal(ours, theirs):
        """Compare octets in time that depends on their length alone."""
        if len(ours) != len(theirs):
            return False
        difference = 0
        for one, other in zip(ours, theirs):
            difference |= one ^ other
        return difference == 0

    def octet_stream(size):
        """A BytesIO that has its `size` octets from the beginning."""
        return BytesIO(size)

    def write_part(stream, octets, at, size):
        """stream.write(octets[at : at + size]), without an object for the part."""
        stream.write(octets, at, size)

    def read_part(stream, into, size):
        """Read `size` octets, that are there, to the beginning of `into`."""
        stream.readinto(into, size)

except ImportError:  # CPython
    from hmac import compare_digest as equal

    try:
        from _md5 import md5  # without OpenSSL, whose contexts cost more than the digest of a message
    except ImportError:
        from hashlib import md5

    STRUCT_CHECKS = STRICT_UTF8 = True

    def const(value):
        return value

    def started(digest, octets):
        return digest(octets).copy

    def octet_stream(size):
        return BytesIO()

    def write_part(stream, octets, at, size):
        stream.write(memoryview(octets)[at : at + size])

    def read_part(stream, into, size):
        stream.readinto(memoryview(into)[:size])


__all__ = [
    "STRICT_UTF8",
    "STRUCT_CHECKS",
    "const",
    "equal",
    "md5",
    "octet_stream",
    "read_part",
    "started",
    "write_part",
]
