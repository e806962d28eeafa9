"""The one place where shared code asks which interpreter it runs on."""

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


__all__ = ["STRICT_UTF8", "STRUCT_CHECKS", "const", "equal", "md5", "started"]
