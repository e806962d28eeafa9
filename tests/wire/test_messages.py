"""Registration Request and Reply: widths, limits, and what a hostile datagram cannot do."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mip4 import const
from mip4.const import code_name, is_from_home_agent
from mip4.errors import Malformed, MipError, UnknownExtension
from mip4.extensions import Nai
from mip4.messages import RegistrationReply, RegistrationRequest
from tests.wire.strategies import REPLY, REQUEST

SMALLEST = dict(flags=0, lifetime=0, home_address=0, home_agent=0, care_of_address=0, identification=0)
LARGEST = dict(
    flags=0xFF,
    lifetime=const.INFINITE,
    home_address=const.BROADCAST,
    home_agent=const.BROADCAST,
    care_of_address=const.BROADCAST,
    identification=0xFFFFFFFFFFFFFFFF,
)


@given(REQUEST)
def test_a_request_comes_back_as_it_was_sent(request):
    assert RegistrationRequest.decode(request.encode()) == request


@given(REPLY)
def test_a_reply_comes_back_as_it_was_sent(reply):
    assert RegistrationReply.decode(reply.encode()) == reply


@given(REQUEST)
def test_a_request_is_read_the_same_through_a_memoryview_and_keeps_no_part_of_it(request):
    octets = bytearray(request.encode())

    found = RegistrationRequest.decode(memoryview(octets))
    octets[:] = bytes(len(octets))

    assert found == request


@pytest.mark.parametrize("cls", [RegistrationRequest, RegistrationReply])
@given(head=st.binary(max_size=24), tail=st.binary(max_size=200))
@example(head=b"\x01" + bytes(23), tail=b"\x83\x01a")
def test_any_octets_are_a_message_or_a_mip_error_and_what_is_read_can_be_sent_again(cls, head, tail):
    kind = bytes([const.REGISTRATION_REQUEST if cls is RegistrationRequest else const.REGISTRATION_REPLY])
    for octets in (head + tail, kind + head[1:] + tail, kind + bytes(23) + tail):
        try:
            found = cls.decode(octets)
        except MipError as error:
            assert str(error)
            continue
        assert cls.decode(found.encode()) == found


@pytest.mark.parametrize("limits", [SMALLEST, LARGEST], ids=["smallest", "largest"])
def test_every_field_reaches_its_limits(limits):
    request = RegistrationRequest(extensions=[], **limits)

    assert len(request.encode()) == 24
    assert RegistrationRequest.decode(request.encode()) == request


@pytest.mark.parametrize("field", list(LARGEST))
@pytest.mark.parametrize("beyond", [1, -1], ids=["above", "below"])
def test_a_field_beyond_its_width_is_our_own_mistake(field, beyond):
    limit = LARGEST[field] if beyond > 0 else 0
    request = RegistrationRequest(extensions=[], **{**SMALLEST, field: limit + beyond})

    with pytest.raises(ValueError, match="does not fit"):
        request.encode()


@pytest.mark.parametrize("kind", [kind for kind in range(256) if kind != const.REGISTRATION_REQUEST])
def test_another_message_type_is_no_request(kind):
    with pytest.raises(Malformed, match=f"type {kind}"):
        RegistrationRequest.decode(bytes([kind]) + bytes(23))


def test_a_request_is_no_reply_and_a_reply_no_request():
    request = RegistrationRequest(extensions=[], **SMALLEST).encode()
    reply = RegistrationReply(0, 0, 0, 0, 0, []).encode()

    with pytest.raises(Malformed):
        RegistrationReply.decode(request)
    with pytest.raises(Malformed):
        RegistrationRequest.decode(reply)


@pytest.mark.parametrize("cls, size", [(RegistrationRequest, 24), (RegistrationReply, 20)])
def test_the_fixed_part_must_be_whole(cls, size):
    kind = bytes([1 if cls is RegistrationRequest else 3])

    for short in range(size):
        with pytest.raises(Malformed):
            cls.decode((kind + bytes(size))[:short])

    assert cls.decode(kind + bytes(size - 1)).extensions == []


def test_a_damaged_request_is_salvaged_up_to_its_first_malformed_extension():
    whole = RegistrationRequest(extensions=[Nai(b"bob"), Nai(b"eve")], **SMALLEST)

    salvaged = RegistrationRequest.salvage(whole.encode()[:-1])

    assert salvaged.extensions == [Nai(b"bob")]
    assert RegistrationRequest.salvage(whole.encode()) == whole


def test_nothing_is_salvaged_from_half_a_fixed_part_or_behind_an_unknown_extension():
    with pytest.raises(Malformed):
        RegistrationRequest.salvage(b"\x01" + bytes(22))
    with pytest.raises(Malformed):
        RegistrationRequest.salvage(b"\x03" + bytes(23))
    with pytest.raises(UnknownExtension):
        RegistrationRequest.salvage(b"\x01" + bytes(23) + b"\x7e\x00")


def test_each_fault_knows_the_code_it_deserves_and_an_unknown_extension_deserves_none():
    assert (Malformed.home_code, Malformed.foreign_code) == (134, 70)
    assert (UnknownExtension.home_code, UnknownExtension.foreign_code) == (None, None)


def test_every_reply_code_has_a_name_for_people():
    codes = {
        value
        for name, value in vars(const).items()
        if name.startswith(("ACCEPTED", "FA_", "HA_")) and name != "FA_ERROR"  # 45 is an extension
    }

    of_other_rfcs = {2, 73, 89, 107, *range(110, 116), 127, *range(145, 154), 192, 193, *range(201, 204)}
    assert codes | of_other_rfcs == {code for code, _ in const.CODE_NAMES}
    assert not codes & of_other_rfcs
    assert code_name(133) == "133 registration Identification mismatch"
    assert code_name(63) == "63 unknown code"


def test_a_reply_code_tells_which_agent_answered():
    home = [code for code in range(256) if is_from_home_agent(code)]

    assert home == [*range(64), *range(128, 193)]
    assert not is_from_home_agent(const.FA_INVALID_HOME_AGENT)
