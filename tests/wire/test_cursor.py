"""Reading within bounds and writing within widths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.cursor import Cursor, pack
from mip4.errors import Malformed

WIDTHS = {"B": 8, "H": 16, "I": 32, "Q": 64}
FIELDS = st.lists(
    st.sampled_from(sorted(WIDTHS)).flatmap(
        lambda letter: st.tuples(st.just(letter), st.integers(0, (1 << WIDTHS[letter]) - 1))
    ),
    max_size=8,
)


@given(FIELDS)
def test_what_is_packed_is_read_back(fields):
    layout, values = "".join(letter for letter, _ in fields), tuple(value for _, value in fields)

    octets = pack(layout, *values)

    assert len(octets) == sum(WIDTHS[letter] for letter in layout) // 8
    assert Cursor(octets).fixed(layout) == values


@pytest.mark.parametrize("letter, bits", list(WIDTHS.items()))
def test_a_value_that_does_not_fit_is_named_instead_of_wrapped(letter, bits):
    assert pack(letter, (1 << bits) - 1) == b"\xff" * (bits // 8)
    for value in (1 << bits, -1):
        with pytest.raises(ValueError, match=f"{value} does not fit {bits} bits"):
            pack(letter, value)


@pytest.mark.parametrize("values", [(), (1,), (1, 2, 3)])
def test_a_wrong_number_of_values_is_our_own_mistake(values):
    with pytest.raises(TypeError, match=f"{len(values)} values for HH"):
        pack("HH", *values)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_a_cursor_moves_by_what_it_reads(wrap):
    cursor = Cursor(wrap(b"\x01\x02\x03abcde"))

    assert cursor.fixed("BH") == (1, 0x0203)
    assert cursor.take(2) == b"ab"
    assert (cursor.at, cursor.more()) == (5, True)
    assert cursor.rest() == b"cde"
    assert (cursor.more(), cursor.rest()) == (False, b"")


def test_a_cursor_may_begin_further_on():
    cursor = Cursor(b"skip\x07", 4)

    assert cursor.fixed("B") == (7,)


def test_what_is_taken_is_kept_when_the_buffer_changes():
    buffer = bytearray(b"abc")
    taken = Cursor(memoryview(buffer)).take(3)
    buffer[:] = b"xyz"

    assert taken == b"abc"


@given(st.binary(max_size=12), st.integers(0, 20))
def test_reading_past_the_end_is_malformed_and_moves_nothing(octets, count):
    cursor = Cursor(octets)

    if count <= len(octets):
        assert cursor.take(count) == octets[:count]
    else:
        with pytest.raises(Malformed, match=f"ends after {len(octets)} octets, {count} more expected"):
            cursor.take(count)
        assert cursor.at == 0


@pytest.mark.parametrize("layout, size", [("B", 1), ("H", 2), ("I", 4), ("Q", 8), ("BBHIIIQ", 24)])
def test_a_layout_needs_all_its_octets(layout, size):
    cursor = Cursor(bytes(size - 1))

    with pytest.raises(Malformed):
        cursor.fixed(layout)

    assert cursor.at == 0
