"""NAI grammar (RFC 7542 §2.2) and the limits of a sub-NAI."""

from mip4.compat import STRICT_UTF8, const
from mip4.errors import Malformed

_MAX_NAI = const(253)  # RFC 7542 §2.2 through RADIUS; the extension itself would carry 255
_MAX_SUB_NAI = const(64)
_USER = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"
_REALM = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"


def check_nai(nai: bytes) -> str:
    """The NAI as text, if it can key a binding: user or user@realm. Raises Malformed saying what is wrong."""
    if not 1 <= len(nai) <= _MAX_NAI:
        raise Malformed("NAI of %d octets" % len(nai))
    text = _utf8(nai, "NAI")
    user, at, realm = nai.partition(b"@")
    if not user:
        raise Malformed("NAI without a user: %s" % text)
    for atom in user.split(b"."):
        _atoms(atom, _USER, text)
    if at:
        labels = realm.split(b".")
        if len(labels) < 2:
            raise Malformed("NAI realm of one label: %s" % text)
        for label in labels:
            _atoms(label, _REALM, text)
            if label[0] == 0x2D or label[-1] == 0x2D:
                raise Malformed("NAI realm label at a hyphen: %s" % text)
    return text


def check_sub_nai(sub_nai: bytes) -> str:
    """The sub-NAI as text: 1..64 octets of strict UTF-8, no control characters. Raises Malformed."""
    if not 1 <= len(sub_nai) <= _MAX_SUB_NAI:
        raise Malformed("sub-NAI of %d octets" % len(sub_nai))
    return _utf8(sub_nai, "sub-NAI")


def _atoms(atom: bytes, allowed: bytes, text: str) -> None:
    if not atom:
        raise Malformed("NAI with an empty part: %s" % text)
    for octet in atom:
        if octet < 0x80 and octet not in allowed:
            raise Malformed("NAI with %r: %s" % (chr(octet), text))


def _utf8(octets: bytes, what: str) -> str:
    """Strict UTF-8 without control characters, decided here: MicroPython's own decoder lets too much through."""
    if STRICT_UTF8:
        try:
            text = octets.decode()
            if text.isprintable():
                return text
        except UnicodeDecodeError:  # what is wrong first is said below, in the same words everywhere
            pass
    at = 0
    while at < len(octets):
        first = octets[at]
        if first < 0x80:
            length, point, least = 1, first, 0
        elif 0xC2 <= first < 0xE0:
            length, point, least = 2, first & 0x1F, 0x80
        elif 0xE0 <= first < 0xF0:
            length, point, least = 3, first & 0x0F, 0x800
        elif 0xF0 <= first < 0xF5:
            length, point, least = 4, first & 0x07, 0x10000
        else:
            raise Malformed("%s is not UTF-8" % what)
        tail = octets[at + 1 : at + length]
        if len(tail) != length - 1:
            raise Malformed("%s is not UTF-8" % what)
        for octet in tail:
            if octet & 0xC0 != 0x80:
                raise Malformed("%s is not UTF-8" % what)
            point = point << 6 | octet & 0x3F
        if point < least or point > 0x10FFFF or 0xD800 <= point < 0xE000:
            raise Malformed("%s is not UTF-8" % what)
        if point < 0x20 or 0x7F <= point < 0xA0:
            raise Malformed("%s with a control character" % what)
        at += length
    return octets.decode()
