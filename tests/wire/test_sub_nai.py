"""The sub-NAI in its two carriers and two sub-types; the octets are in tests/vectors/sub_nais.json."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.errors import Malformed
from mip4.extensions import Experimental, Nai, NormalVendor
from mip4.sub_nai import SubNai, find_sub_nai

NAI = b"gw01@example.net"
PEN = 32473
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=16).map(str.encode)


@pytest.mark.parametrize("vendor", [0, PEN], ids=["carrier A", "carrier B"])
@pytest.mark.parametrize("nai", [None, NAI], ids=["alone", "with the NAI"])
@given(name=NAMES)
def test_a_sub_nai_is_found_as_it_was_sent(vendor, nai, name):
    sent = SubNai(name, vendor, nai)

    assert find_sub_nai([Nai(NAI), sent.extension()], vendor, NAI) == sent


@given(st.binary(max_size=80), st.integers(0, 3), st.booleans())
def test_any_value_is_a_sub_nai_or_none_or_malformed(value, sub_type, in_vendor):
    carried = NormalVendor(PEN, sub_type, value) if in_vendor else Experimental(sub_type, value)

    try:
        found = find_sub_nai([carried], PEN, NAI)
    except Malformed:
        return
    assert (found is None) == (sub_type not in (1, 2))
    assert found is None or found.extension() == carried


def test_no_extensions_hold_no_sub_nai():
    assert find_sub_nai([], PEN, NAI) is None
    assert find_sub_nai([Nai(NAI)], PEN, NAI) is None


def test_enterprise_number_zero_is_nobodys_carrier():
    assert find_sub_nai([NormalVendor(0, 1, b"cam-1")], 0, NAI) is None


def test_a_sub_nai_that_speaks_for_an_absent_nai_is_refused():
    with pytest.raises(Malformed, match="another NAI"):
        find_sub_nai([SubNai(b"cam-1", 0, NAI).extension()], 0, b"")


def test_what_does_not_fit_its_carrier_cannot_be_sent():
    with pytest.raises(ValueError):
        SubNai(b"x" * 64, 0, b"n" * 190).extension().encode()
    with pytest.raises(ValueError):
        SubNai(b"x" * 64, PEN, b"n" * 183).extension().encode()
    with pytest.raises(ValueError):
        SubNai(b"x", 0, b"n" * 256).extension()


def test_the_longest_nai_that_sub_type_2_can_carry_beside_64_octets():
    assert len(SubNai(b"x" * 64, 0, b"n" * 189).extension().encode()) == 257
    assert len(SubNai(b"x" * 64, PEN, b"n" * 182).extension().encode()) == 257
