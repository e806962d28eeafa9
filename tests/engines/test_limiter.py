"""Token buckets: bursts, rates, independence, bounds."""

import pytest

from host_agents import limiter
from host_agents.limiter import Limiter


def _allowed(one, key, until, step=1, begin=0):
    return sum(one.allows(key, now) for now in range(begin, until, step))


@pytest.mark.parametrize(("count", "period", "burst"), [(1, 1000, 1), (4, 1000, 4), (60, 60_000, 5), (7, 1000, 3)])
def test_a_burst_at_once_and_the_rate_in_the_long_run(count, period, burst):
    one = Limiter(count, period, burst)

    assert sum(one.allows("a", 0) for _ in range(100)) == burst
    assert abs(_allowed(one, "a", 10 * period, begin=1) - 10 * count) <= 1


@pytest.mark.parametrize("count", [700, 3840, 38_400, 59_999])
def test_rates_that_divide_no_millisecond_are_kept(count):
    one = Limiter(count, 60_000, 320)

    allowed = sum(one.allows("a", now) for now in range(60_000) for _ in range(2))

    assert count <= allowed <= count + 320


def test_keys_do_not_know_of_each_other():
    one = Limiter(1, 1000, 1)

    assert [one.allows(key, 0) for key in "aabbcc"] == [True, False] * 3


def test_who_tries_in_vain_waits_no_longer_for_it():
    one = Limiter(1, 1000, 1)

    assert [now for now in range(0, 3001, 10) if one.allows("a", now)] == [0, 1000, 2000, 3000]


def test_the_table_is_bounded_and_the_one_unused_for_longest_goes(monkeypatch):
    monkeypatch.setattr(limiter, "_CAPACITY", 100)
    one = Limiter(1, 1000, 1)

    for key in range(1000):
        assert one.allows(key, 0)
        one.allows("busy", 0)

    assert len(one._buckets) == 100
    assert not one.allows("busy", 0)
    assert one.allows(0, 0)
