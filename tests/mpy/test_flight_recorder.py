"""The flight recorder in a running node: what it writes and when, and that nothing about it disturbs the node."""

import os
import time
import tty

import pytest

from runtime.flight_ring import PAGE
from tests.mpy import flight_files
from tests.mpy.runtime_world import a_world, wait_until
from tools.trial.drive import rmc


@pytest.fixture
def world(micropython, tmp_path):
    with a_world(micropython, tmp_path) as world:
        yield world


def kept(world) -> list[dict]:
    return flight_files.kept(world.folder)


def kinds(world) -> list[str]:
    return [one["e"] for one in kept(world)]


def test_what_is_older_than_the_write_interval_survives_kill_9(world):
    world.begin(recorder={"write": 1})
    world.carrier(up=False)
    wait_until(lambda: "link_down" in kinds(world))

    world.kill()
    world.carrier(up=True)
    world.begin(recorder={"write": 1})
    world.ask(b"record write\n")

    found = kinds(world)
    assert found.count("start") == 2
    assert found.index("link_down") < len(found) - 1 - found[::-1].index("start")


def test_no_more_pages_are_written_than_an_hour_may_have(world):
    """128 at once, then one each 36 s: what has no room on the way waits in RAM, and beyond that it is counted."""
    world.begin(recorder={"pages_per_hour": 100, "sample": 3600, "write": 1})
    for _ in range(1400):
        world.ask(b"record mark\n")

    status = world.ask(b"record status\n")

    assert 100 <= status["pages_written"] <= 132
    assert status["lost"] > 0 and status["waiting"] <= 192
    assert status["lost"] + status["waiting"] + kinds(world).count("mark") == 1400
    assert sum(path.stat().st_size for path in world.folder.glob("flight.*")) == status["pages_written"] * PAGE


def test_a_recorder_that_cannot_write_is_one_line_and_the_node_goes_on(world):
    world.begin(recorder={"path": "no/such/folder/flight", "write": 1})

    wait_until(lambda: "flight recorder" in world.log.read_text() and "errno 2" in world.log.read_text())

    world.order("[Said('info', 'still here')]")
    assert world.ask(b"record status\n")["lost"] > 0
    assert world.log.read_text().count("errno 2") == 1


def test_one_that_is_off_does_not_wake_the_node(world):
    """A tick each 3 ms shows against the 40 looks a second that the node takes at its links anyway."""

    def wakings(seconds: float) -> int:
        before, end = world.wakings(), time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > end)
        return world.wakings() - before

    world.begin(recorder={"on": False})
    off = wakings(0.6)
    world.ask(b"record start\n")
    on = wakings(0.6)

    assert on > 2 * off
    assert not kinds(world)


def test_a_place_from_the_gps_receiver_is_in_the_next_sample_and_a_receiver_that_goes_is_looked_for(world):
    speaking, listening = os.openpty()
    tty.setraw(listening)
    world.begin(recorder={"sample": 1, "gps": os.ttyname(listening)})
    wait_until(lambda: "GPS receiver on" in world.log.read_text())
    os.write(speaking, b"$GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091202,,,A*57\r\n")

    def placed() -> list[dict]:
        world.ask(b"record write\n")
        return [one for one in kept(world) if "lat" in one]

    (sample, *_) = wait_until(placed)
    assert (sample["lat"], sample["lon"], sample["v"]) == (472852395, 85652537, 0)
    os.write(speaking, rmc(1795884000.25, 47.3769, -8.5417))
    wait_until(lambda: [one for one in placed() if one["lon"] == -85417000])
    os.close(speaking)
    os.close(listening)
    wait_until(lambda: "is gone" in world.log.read_text())
    world.order("[Said('info', 'still here')]")
