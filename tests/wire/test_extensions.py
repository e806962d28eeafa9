"""Extensions beside what their vectors say: offsets, the table, host configuration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.const import CISCO, CONFIG_DNS, CONFIG_GATEWAY, CONFIG_PREFIX_LENGTH
from mip4.errors import Malformed, MipError, UnknownExtension
from mip4.extensions import (
    EXTENSIONS,
    Experimental,
    MobileHomeAuthentication,
    Nai,
    NormalVendor,
    decode_all,
    encode_all,
    find,
    find_host_configuration,
    host_configuration,
    tlv,
)
from mip4.messages import RegistrationRequest
from tests.wire.strategies import EXTENSION


def decoded(octets: bytes, at: int = 0) -> list:
    found = []
    decode_all(octets, at, found)
    return found


@given(st.lists(EXTENSION, max_size=8))
def test_extensions_keep_their_order_and_their_values(extensions):
    assert decoded(encode_all(extensions)) == extensions


@given(EXTENSION, st.integers(0, 40))
def test_an_extension_remembers_where_it_began(extension, offset):
    (found,) = decoded(bytes(offset) + extension.encode(), offset // 2)

    assert found.at == offset


@given(EXTENSION)
def test_where_it_stood_is_no_part_of_an_extension(extension):
    (found,) = decoded(extension.encode())

    assert found == extension
    assert "at=" not in repr(found)


@given(EXTENSION)
def test_every_cut_through_an_extension_is_malformed(extension):
    octets = extension.encode()

    for end in range(1, len(octets)):
        with pytest.raises(Malformed):
            decoded(octets[:end])


@given(st.binary(max_size=300))
def test_any_octets_are_extensions_or_a_mip_error(octets):
    try:
        found = decoded(octets)
    except MipError:
        return
    assert decoded(encode_all(found)) == found


@pytest.mark.parametrize("kind", [kind for kind in range(1, 256) if kind not in EXTENSIONS])
def test_an_unrecognised_type_is_skipped_from_128_up_and_condemns_below(kind):
    octets = bytes([kind, 3, 1, 2, 3]) + Nai(b"bob").encode()

    if kind >= 128:
        assert decoded(octets) == [Nai(b"bob")]
    else:
        with pytest.raises(UnknownExtension, match=str(kind)):
            decoded(octets)


@pytest.mark.parametrize("kind", sorted(EXTENSIONS))
def test_the_table_and_the_class_agree_on_the_type(kind):
    assert EXTENSIONS[kind].kind == kind
    assert EXTENSIONS[kind].__doc__ or issubclass(EXTENSIONS[kind], MobileHomeAuthentication.__mro__[1])


def test_what_stands_before_a_fault_is_found_all_the_same():
    found = []

    with pytest.raises(Malformed):
        decode_all(Nai(b"bob").encode() + b"\x83\x00", 0, found)

    assert found == [Nai(b"bob")]


def test_255_octets_fit_an_extension_and_256_do_not():
    assert len(tlv(131, bytes(255))) == 257
    with pytest.raises(ValueError, match="256"):
        tlv(131, bytes(256))


def test_extensions_of_one_class_are_found_in_order():
    first, second = Experimental(1, b"a"), Experimental(2, b"b")

    assert find([first, Nai(b"bob"), second], Experimental) == [first, second]
    assert find([Nai(b"bob")], Experimental) == []


def test_host_configuration_comes_back_by_sub_type():
    extensions = [
        host_configuration(CONFIG_PREFIX_LENGTH, b"\x18"),
        host_configuration(CONFIG_GATEWAY, bytes([10, 10, 0, 1])),
        host_configuration(CONFIG_DNS, bytes(8)),
    ]

    found = find_host_configuration(decoded(encode_all(extensions)))

    assert found == {CONFIG_PREFIX_LENGTH: b"\x18", CONFIG_GATEWAY: bytes([10, 10, 0, 1]), CONFIG_DNS: bytes(8)}


def test_other_vendors_types_and_empty_values_are_no_host_configuration():
    others = [
        NormalVendor(CISCO + 1, 14, b"\x01\x18"),
        NormalVendor(CISCO, 15, b"\x01\x18"),
        NormalVendor(CISCO, 14, b""),
    ]

    assert find_host_configuration([*others, Nai(b"bob")]) == {}


def test_a_dynamic_home_agent_is_read_in_the_layout_that_the_rfc_prints_too():
    long = [bytes.fromhex("8b010004c0000201"), bytes.fromhex("8b020004c0000209")]
    request = RegistrationRequest(0, 600, 0, 0, 1, 2, []).encode()

    found = RegistrationRequest.decode(request + long[0] + long[1] + b"\x91\x02\x01A").extensions

    assert [one.values() for one in found] == [(1, 0xC0000201), (2, 0xC0000209), (1, b"A")]
    for octets in long:
        for end in range(1, len(octets)):
            with pytest.raises(Malformed):
                RegistrationRequest.decode(request + octets[:end])
