"""Worlds for the tests: real namespaces, real programs; skipped with the reason where the machine cannot have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tools.lab import privilege
from tools.lab.errors import LabFailed
from tools.lab.plan import WorldPlan
from tools.lab.world import World

MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def _capable() -> None:
    try:
        privilege.acquire()
    except LabFailed as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def bare_world(_capable: None) -> Iterator[World]:
    """Namespaces, links and routes; nothing runs in them."""
    with ExitStack() as undo:
        world = World()
        undo.callback(world.down)
        world.up(programs=False)
        yield world


@pytest.fixture(scope="module")
def world(_capable: None) -> Iterator[World]:
    """The usual one, for all tests of a module: pc1 and pc2 behind mn at fa1, each with its address."""
    with World() as world:
        for device in world.plan.devices():
            world.await_address(device)
        yield world


@pytest.fixture
def make_world(_capable: None) -> Iterator[MakeWorld]:
    """Makes a world for one test: make_world(lifetime=10) and other keys of WorldPlan."""
    with ExitStack() as worlds:
        yield lambda **plan: worlds.enter_context(World(plan=WorldPlan(**plan)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """The logs of the world, beside the failure of a test in it."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if not report.failed:
        return
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, World):
            for log in sorted((value.directory / "log").glob("*.log")):
                tail = log.read_text(errors="replace").splitlines()[-40:]
                report.sections.append((log.name, "\n".join(tail)))
