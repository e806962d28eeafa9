"""One world whose agents serve pages, and one browser in it, for all tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.web.browser import DESK, browser_in
from tools.lab import privilege
from tools.lab.errors import LabFailed
from tools.lab.plan import WorldPlan
from tools.lab.world import World

HOME, FOREIGN = "http://127.0.0.1:8434", "http://127.0.0.1:8435"
Roam = Callable[[str], object]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """pc1 and pc2 behind mn at fa1, each with its address."""
    try:
        privilege.acquire()
    except LabFailed as missing:
        pytest.skip(str(missing))
    home = {"http": HOME[7:]}
    plan = WorldPlan(home_agent=home, foreign_agent={"http": FOREIGN[7:], "log": "json"})
    with World(plan=plan) as world:
        for device in world.plan.devices():
            world.await_address(device)
        yield world


@pytest.fixture(scope="module")
def roam(world: World) -> Iterator[Roam]:
    """Moves mn; from a thread, since Playwright and netlink each want an event loop of their own."""
    with ThreadPoolExecutor(1) as thread:
        yield lambda to: thread.submit(world.roam, "mn", to).result()


@pytest.fixture(scope="module")
def browser(world: World, roam: Roam, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Sees what is served on the home agent's loopback."""
    with browser_in(world.argv("ha", []), tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=DESK, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def token(world: World) -> str:
    return (Path(world.directory / "ha") / "ha.sqlite.token").read_text().strip()
