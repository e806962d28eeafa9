"""Addresses: text at the edges, ints everywhere else."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.address import in_prefix, is_unicast, mask, parse, parse_link, parse_prefix, show, show_link


@given(st.integers(0, 0xFFFFFFFF))
def test_what_is_shown_is_what_is_read(address):
    assert show(address) == str(ipaddress.IPv4Address(address))
    assert parse(show(address)) == address


@given(st.text("0123456789.+- x", max_size=16) | st.text(max_size=16))
def test_only_what_the_standard_library_takes_is_an_address(text):
    try:
        expected = int(ipaddress.IPv4Address(text))
    except ValueError:
        expected = None

    if expected is None:
        with pytest.raises(ValueError, match="not an IPv4 address"):
            parse(text)
    else:
        assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2.3",
        "1.2.3.4.5",
        "256.0.0.1",
        "1.2.3.-4",
        "1.2.3. 4",
        "1.2.3.04",
        "1.2.3.",
        "1.2.3.4/8",
        "1.2.3.٤",
        "1.2.3.²",
    ],
)
def test_what_is_no_address_is_refused_by_name(text):
    with pytest.raises(ValueError, match="not an IPv4 address"):
        parse(text)


@pytest.mark.parametrize("length", range(33))
def test_a_netmask_has_as_many_ones_as_its_length(length):
    assert mask(length) == int(ipaddress.IPv4Network(f"0.0.0.0/{length}").netmask)


@pytest.mark.parametrize("length", [-1, 33])
def test_a_netmask_of_another_length_is_refused(length):
    with pytest.raises(ValueError):
        mask(length)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 32))
def test_a_prefix_is_read_and_holds_its_own_addresses_only(address, length):
    network = address & mask(length)

    assert parse_prefix(f"{show(network)}/{length}") == (network, length)
    assert in_prefix(address, network, length)
    if length:
        assert not in_prefix(address ^ 1 << (32 - length), network, length)


@pytest.mark.parametrize(
    "text",
    [
        "10.10.0.0",
        "10.10.0.0/",
        "10.10.0.0/33",
        "10.10.0.0/-1",
        "10.10.0.0/08",
        "10.10.0.0/٨",
        "10.10.0/24",
        "/24",
        "10.0.0.0/8/8",
    ],
)
def test_what_is_no_prefix_is_refused(text):
    with pytest.raises(ValueError):
        parse_prefix(text)


def test_a_prefix_with_host_bits_says_so():
    with pytest.raises(ValueError, match=r"host bits are set in 10\.10\.0\.1/24"):
        parse_prefix("10.10.0.1/24")


@pytest.mark.parametrize(
    "text", ["1.0.0.0", "10.1.2.3", "126.255.255.255", "128.0.0.1", "203.0.113.7", "223.255.255.255"]
)
def test_these_can_belong_to_one_host(text):
    assert is_unicast(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "0.255.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
    ],
)
def test_these_cannot(text):
    assert not is_unicast(parse(text))


@given(st.binary(min_size=6, max_size=6))
def test_a_link_address_is_shown_in_lower_case_and_read_in_any(octets):
    assert parse_link(show_link(octets)) == octets
    assert parse_link(show_link(octets).upper()) == octets


@pytest.mark.parametrize(
    "text",
    ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "02:00:00:00:00:0g", "2:0:0:0:0:1", "02-00-00-00-00-01"]
    + [f"02:00:00:00:00:{part}" for part in ("", "+1", " 1", "-1", "0x", "100")],
)
def test_what_is_no_link_address_is_refused_by_name(text):
    with pytest.raises(ValueError, match="not a link-layer address"):
        parse_link(text)
