"""What can be wrong with a message, and the Reply code that each kind deserves."""

from mip4.const import (
    FA_AAA_AUTHENTICATION,
    FA_MN_AUTHENTICATION,
    FA_POORLY_FORMED_REQUEST,
    HA_AAA_AUTHENTICATION,
    HA_MN_AUTHENTICATION,
    HA_POORLY_FORMED,
)


class MipError(Exception):
    """Something is wrong with a message that a peer sent.

    home_code, foreign_code: the Reply code a home or foreign agent answers with; None where the RFC asks for silence.
    kind: one word for counters.
    """

    home_code = None
    foreign_code = None
    kind = "error"


class Malformed(MipError):
    """Octets that are no message: short, overlong, out of range (RFC 5944 §3.7.2.1, §3.8.2.1)."""

    home_code = HA_POORLY_FORMED
    foreign_code = FA_POORLY_FORMED_REQUEST
    kind = "malformed"


class UnknownExtension(MipError):
    """An unrecognised extension below 128 condemns its whole message, without a word (RFC 5944 §1.8)."""

    kind = "unknown-extension"


class BadAuthenticator(MipError):
    """An authenticator that does not match, or that is missing, doubled or out of place (RFC 5944 §3.5)."""

    home_code = HA_MN_AUTHENTICATION
    foreign_code = FA_MN_AUTHENTICATION
    kind = "bad-authenticator"


class BadAaaAuthenticator(BadAuthenticator):
    """One that is meant for a AAA server (RFC 4721 §6)."""

    home_code = HA_AAA_AUTHENTICATION
    foreign_code = FA_AAA_AUTHENTICATION


class Unexpected(MipError):
    """A well-formed message that answers nothing we asked, or that is not for us."""

    kind = "unexpected"


class Denied(MipError):
    """A request that is understood and refused. code: the Reply code; the text becomes its message string."""

    kind = "denied"

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code
        self.text = text
