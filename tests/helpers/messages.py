"""Registration messages as a node, a home agent or a forger would write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mip4.authentication import SecurityAssociation
from mip4.extensions import (
    ForeignHomeAuthentication,
    MobileForeignAuthentication,
    MobileHomeAuthentication,
    Nai,
    encode_all,
)
from mip4.identification import from_ms
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import SubNai
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, KEY, NAI, NTP_2026, SPI

HOME = SecurityAssociation(SPI, KEY)  # mobile node and home agent
FOREIGN_HOME = SecurityAssociation(512, b"foreign agent and home agent")
MOBILE_FOREIGN = SecurityAssociation(768, b"mobile node and foreign agent")


def an_identification(at: int = 0, low: int | None = None) -> int:
    """What a node with a good clock writes `at` ms after the world began."""
    identification: int = from_ms(NTP_2026 + at)
    return identification if low is None else identification & ~0xFFFFFFFF | low


def a_request(
    sub_nai: str = "",
    *,
    nai: str | None = NAI,
    carrier: SubNai | None = None,
    before: Sequence[Any] = (),
    after: bytes = b"",
    home: SecurityAssociation | None = HOME,
    mobile_foreign: SecurityAssociation | None = None,
    foreign_home: SecurityAssociation | None = None,
    **changes: Any,
) -> bytes:
    """A Registration Request, signed.

    carrier: the sub-NAI extension in another form. before: extensions between the sub-NAI and the Mobile-Home
    Authentication; after: octets behind it, ahead of the other authenticators. changes: of the fixed part.
    """
    extensions: list[Any] = [] if nai is None else [Nai(nai.encode())]
    if carrier is not None or sub_nai:
        extensions.append((carrier or SubNai(sub_nai.encode(), 0, None)).extension())
    fields = {
        "flags": 0,
        "lifetime": 600,
        "home_address": 0,
        "home_agent": HOME_AGENT,
        "care_of_address": FOREIGN_AGENTS["fa1"],
        "identification": an_identification(),
    }
    octets = RegistrationRequest(extensions=[*extensions, *before], **{**fields, **changes}).encode()
    return _signed(octets, home, after, mobile_foreign, foreign_home)


def a_reply(
    request: bytes,
    code: int = 0,
    *,
    before: Sequence[Any] | None = None,
    after: bytes = b"",
    home: SecurityAssociation | None = HOME,
    mobile_foreign: SecurityAssociation | None = None,
    foreign_home: SecurityAssociation | None = None,
    **changes: Any,
) -> bytes:
    """The Registration Reply that `request` gets. before: its extensions, instead of NAI and sub-NAI as they came."""
    asked = RegistrationRequest.salvage(request)
    if before is None:
        authenticators = (MobileHomeAuthentication, MobileForeignAuthentication, ForeignHomeAuthentication)
        before = [one for one in asked.extensions[:2] if not isinstance(one, authenticators)]
    fields = {
        "code": code,
        "lifetime": asked.lifetime,
        "home_address": asked.home_address,
        "home_agent": asked.home_agent,
        "identification": asked.identification,
    }
    octets = RegistrationReply(extensions=list(before), **{**fields, **changes}).encode()
    return _signed(octets, home, after, mobile_foreign, foreign_home)


def _signed(
    octets: bytes,
    home: SecurityAssociation | None,
    after: bytes,
    mobile_foreign: SecurityAssociation | None,
    foreign_home: SecurityAssociation | None,
) -> bytes:
    if home is not None:
        octets = home.sign(octets, MobileHomeAuthentication)
    octets += after
    if mobile_foreign is not None:
        octets = mobile_foreign.sign(octets, MobileForeignAuthentication)
    if foreign_home is not None:
        octets = foreign_home.sign(octets, ForeignHomeAuthentication)
    return octets


def octets_of(*extensions: Any) -> bytes:
    return bytes(encode_all(list(extensions)))
