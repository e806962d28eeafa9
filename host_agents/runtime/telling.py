"""A registration message in a line, for an operator who looks at one subscriber. Nothing of it is believed here."""

from __future__ import annotations

from mip4.address import show
from mip4.const import REGISTRATION_REQUEST, code_name
from mip4.errors import MipError
from mip4.extensions import Nai, find
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import find_sub_nai


def tell(datagram: bytes, vendor: int) -> tuple[str, str]:
    """(NAI, what it says); ("", "") of what is no registration message of a NAI. vendor: as sub_nai_vendor.

    No authenticator is in it.
    """
    try:
        cls = RegistrationRequest if datagram[:1] == bytes((REGISTRATION_REQUEST,)) else RegistrationReply
        message = cls.salvage(datagram)
        nais = find(message.extensions, Nai)
        if not nais:
            return "", ""
        sub_nai = find_sub_nai(message.extensions, vendor, nais[0].nai)
        nai, name = nais[0].nai.decode(), "" if sub_nai is None else sub_nai.sub_nai.decode()
    except (MipError, UnicodeDecodeError, ValueError):
        return "", ""
    common = (
        f"nai={nai} sub_nai={name!r} home={show(message.home_address)} home_agent={show(message.home_agent)} "
        f"lifetime={message.lifetime}s identification={message.identification:016x} "
        f"extensions={','.join(type(one).__name__ for one in message.extensions)}"
    )
    if cls is RegistrationRequest:
        return nai, f"request {common} care_of={show(message.care_of_address)} flags={message.flags:#04x}"
    return nai, f"reply {common} code={code_name(message.code)}"
