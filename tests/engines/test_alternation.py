"""A session that alternates between two care-of addresses is noticed; one that roams is not."""

import pytest

from host_agents.home_agent import alternation
from host_agents.home_agent.alternation import Alternation

SESSION = ("n", "pc1")


def _noticed(path, step=1000):
    """At which moves along `path` (care-of addresses, `step` ms apart) it is noticed."""
    one = Alternation()
    return [at for at, left in enumerate(path[:-1], start=1) if one.moved(SESSION, left, at * step)]


def test_three_returns_within_ten_seconds_are_noticed():
    assert _noticed("ababa") == [4]


def test_it_is_noticed_again_when_it_goes_on():
    assert _noticed("ababababa") == [4, 8]


@pytest.mark.parametrize("path", ["aba", "abcabcabc", "abcdefgh", "abac", "abcbdbeb"])
def test_roaming_is_no_alternation(path):
    assert _noticed(path) == []


def test_what_came_before_does_not_hide_it():
    assert _noticed("acababab", step=500) == [6]


def test_slow_alternation_is_a_commuter():
    assert _noticed("ababababab", step=4000) == []


def test_sessions_are_counted_by_themselves():
    one = Alternation()

    noticed = [one.moved(("n", str(at % 4)), "ab"[at // 4 % 2], at * 100) for at in range(12)]

    assert not any(noticed)


def test_the_table_is_bounded():
    one = Alternation()

    for number in range(3 * alternation._CAPACITY):
        one.moved(("n", str(number)), 1, 0)
    for number in range(1000):
        one.moved(SESSION, number % 7, number)

    assert len(one._moves) == alternation._CAPACITY
    assert max(map(len, one._moves.values())) <= 4
