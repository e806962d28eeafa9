"""Identifications: NTP time in 64 bits, and a row that only ever rises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.identification import NTP_UNIX, Noise, Timestamps, from_ms, seconds

T0 = 0xED003780  # 2026-01-01T00:00:00Z, as the vectors have it
T0_MS = T0 * 1000


def test_the_vectors_day_is_what_ntp_calls_it():
    assert 1767225600 + NTP_UNIX == T0


def test_half_a_second_is_half_of_32_bits():
    assert from_ms(T0_MS) == T0 << 32
    assert from_ms(T0_MS + 500) == T0 << 32 | 0x80000000


@given(st.integers(0, (1 << 32) * 1000 - 1))
def test_the_high_word_is_seconds_and_all_of_it_fits_64_bits(ntp_ms):
    assert seconds(from_ms(ntp_ms)) == ntp_ms // 1000
    assert from_ms(ntp_ms) < 1 << 64


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=50), st.binary(min_size=1, max_size=16))
def test_each_identification_is_greater_than_every_earlier_one(steps, seed):
    timestamps = Timestamps(T0_MS, Noise(seed))
    now, row = 0, []

    for step in steps:
        now += step
        row.append(timestamps.next(now))

    assert row == sorted(set(row))


@given(st.integers(0, 10**9), st.binary(min_size=1, max_size=16))
def test_an_identification_says_the_clocks_millisecond_and_random_bits_below_it(now, seed):
    fresh = Timestamps(T0_MS, Noise(seed)).next(now)

    assert from_ms(T0_MS + now) <= fresh < from_ms(T0_MS + now + 1)


def test_the_random_bits_are_not_biased_by_the_millisecond_they_join():
    timestamps = Timestamps(T0_MS, Noise(b"seed"))
    low = [timestamps.next(999 + 1000 * turn) - from_ms(T0_MS + 999 + 1000 * turn) for turn in range(400)]

    for bit in range(22):
        assert 120 < sum(one >> bit & 1 for one in low) < 280


def test_two_nodes_with_the_same_clock_draw_different_low_words():
    low = {Timestamps(T0_MS, Noise(bytes([node]))).next(0) & 0xFFFFFFFF for node in range(100)}

    assert len(low) == 100


def test_a_clock_that_stands_still_or_runs_backwards_still_gives_a_rising_row():
    timestamps = Timestamps(T0_MS, Noise(b"seed"))

    row = [timestamps.next(now) for now in (5000, 5000, 5000, 0, 4999)]

    assert row == sorted(set(row))
    assert seconds(row[-1]) == T0 + 5


def test_a_node_without_a_clock_begins_near_zero():
    assert seconds(Timestamps(0, Noise(b"seed")).next(2500)) == 2


@pytest.mark.parametrize("ahead", [-86400, 86400], ids=["the node is ahead by a day", "the node is behind by a day"])
def test_after_a_133_the_home_agents_clock_is_followed_in_either_direction(ahead):
    timestamps = Timestamps(T0_MS, Noise(b"seed"))
    timestamps.next(1000)

    timestamps.resynchronise((T0 + ahead) << 32 | 0xDECAFBAD, 1200)

    assert seconds(timestamps.next(1200)) == T0 + ahead
    assert seconds(timestamps.next(61200)) == T0 + ahead + 60


def test_a_clock_before_1900_counts_as_1900():
    timestamps = Timestamps(0, Noise(b"seed"))
    timestamps.resynchronise(5 << 32, 60000)

    assert seconds(timestamps.next(10)) == 0
