"""Time on the board: what the firmware's clock is made from."""

from __future__ import annotations

import time

from tools.board.connection import Connection

QUARTZ = 1.01  # none is worse than that
LEAST_PERIOD = 1 << 30  # of ticks_ms, which an ESP32 has


def test_its_milliseconds_are_ours(board: Connection) -> None:
    """However slow anybody is: what it measures lies inside of what is measured around it, and the reverse."""
    before = time.monotonic()
    board.run("import time\nbegan = time.ticks_ms()")
    begun = time.monotonic()
    board.run("time.sleep_ms(300)")
    ending = time.monotonic()
    board.run("took = time.ticks_diff(time.ticks_ms(), began)")
    after = time.monotonic()

    took = board.value("took")

    assert took >= 300
    assert (ending - begun) * 1000 / QUARTZ - 1 <= took <= (after - before) * 1000 * QUARTZ + 1


def test_ticks_wrap_at_a_power_of_two_and_differences_go_through_the_wrap(board: Connection) -> None:
    board.run("import time\nlast = time.ticks_add(0, -1)")

    period = board.value("last") + 1

    assert period >= LEAST_PERIOD and period & (period - 1) == 0
    assert board.value("time.ticks_diff(time.ticks_add(last, 1000), last)") == 1000
    assert board.value("time.ticks_diff(last, time.ticks_add(last, 1000))") == -1000


def test_its_years_begin_in_1970_or_in_2000(board: Connection) -> None:
    """The identification's clock counts from 1900 and has to know which (RFC 5905 §6)."""
    assert board.value("__import__('time').gmtime(0)[0]") in (1970, 2000)


def test_chance_is_not_the_same_twice(board: Connection) -> None:
    seeds = []
    for _ in range(2):
        seeds.append(board.value("__import__('os').urandom(16)"))
        board.enter()

    assert seeds[0] != seeds[1] and {len(seed) for seed in seeds} == {16}
