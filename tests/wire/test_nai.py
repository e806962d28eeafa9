"""NAI and sub-NAI grammar: the lists are in tests/vectors/names.json, the reasons here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.errors import Malformed
from mip4.nai import check_nai, check_sub_nai


@pytest.mark.parametrize(
    "nai, reason",
    [
        (b"", "NAI of 0 octets"),
        (b"a" * 254, "NAI of 254 octets"),
        (b"@example.net", "NAI without a user"),
        (b"a..b@example.net", "NAI with an empty part"),
        (b"a@example", "NAI realm of one label"),
        (b"a@b@c.net", "NAI with '@'"),
        (b"a@-x.net", "NAI realm label at a hyphen"),
        (b"a b", "NAI with ' '"),
        (b"a\xff", "NAI is not UTF-8"),
        (b"a\x07", "NAI with a control character"),
    ],
)
def test_a_refused_nai_says_why(nai, reason):
    with pytest.raises(Malformed, match=reason):
        check_nai(nai)


@pytest.mark.parametrize(
    "sub_nai, reason",
    [
        (b"", "sub-NAI of 0 octets"),
        (b"a" * 65, "sub-NAI of 65 octets"),
        (b"\xc0\x80", "sub-NAI is not UTF-8"),
        (b"a\0", "sub-NAI with a control character"),
    ],
)
def test_a_refused_sub_nai_says_why(sub_nai, reason):
    with pytest.raises(Malformed, match=reason):
        check_sub_nai(sub_nai)


@given(st.binary(max_size=70))
def test_a_sub_nai_is_what_pythons_own_strict_decoder_takes_save_control_characters(octets):
    try:
        text = octets.decode("utf-8", "strict")
        good = 1 <= len(octets) <= 64 and not any(ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 for one in text)
    except UnicodeDecodeError:
        good = False

    if good:
        assert check_sub_nai(octets) == text
    else:
        with pytest.raises(Malformed):
            check_sub_nai(octets)


@given(st.integers(0, 0x10FFFF))
def test_every_character_is_judged_alike_whatever_its_length(point):
    octets = chr(point).encode("utf-8", "surrogatepass")
    control = point < 0x20 or 0x7F <= point < 0xA0
    surrogate = 0xD800 <= point < 0xE000

    if control or surrogate:
        with pytest.raises(Malformed):
            check_sub_nai(octets)
    else:
        assert check_sub_nai(octets) == chr(point)


@given(st.binary(max_size=260))
def test_any_octets_are_an_nai_or_malformed_and_an_nai_has_a_user_and_no_second_at(octets):
    try:
        text = check_nai(octets)
    except Malformed:
        return
    assert text.encode() == octets
    assert text.count("@") <= 1 and not text.startswith("@")


@given(st.from_regex(rb"\A[a-z0-9]{1,9}(\.[A-Z!#~]{1,5}){0,2}(@[a-z0-9]{1,9}(-[a-z0-9]{1,3})?(\.[a-z]{1,6}){1,3})?\Z"))
def test_ordinary_nais_are_accepted(nai):
    assert check_nai(nai) == nai.decode()
