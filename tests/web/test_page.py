"""The page as an operator meets it, in a real browser, of a home agent in the lab."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.browser import PHONE, complaints_of
from tests.web.conftest import HOME, Roam
from tools.bench.registrants import Population
from tools.lab import anchor, plan
from tools.lab.world import World

_FA1, _FA2 = (plan.NETWORKS[name][0] for name in ("fa1", "fa2"))
_KEEP = os.environ.get("SCREENSHOTS")  # a folder: docs/images
_MANY, _EACH, _PORT = 10_000, 8, 8500
_MANY_ADDRESS = "192.0.2.99"


def sessions(page: Page) -> list[str]:
    return page.locator("#rows tbody td:nth-child(2)").all_inner_texts()


def bindings(world: World) -> set[str]:
    return {one["sub_nai"] for one in world.entourage("ha", "show", "bindings")["bindings"]}


def keep(page: Page, name: str) -> None:
    if _KEEP:
        page.screenshot(path=Path(_KEEP) / f"{name}.png")


def test_it_shows_every_session_and_its_console_stays_silent(world: World, page: Page) -> None:
    said = complaints_of(page)

    page.goto(HOME)

    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    assert sorted(sessions(page)) == ["KleungPC1", "KleungPC2", "–"]
    expect(page.locator("#count")).to_have_text("3")
    expect(page.locator("#chart canvas")).to_have_count(1)
    assert said == []


def test_a_node_that_roams_is_seen_to_move_and_how_long_it_was_silent(world: World, roam: Roam, page: Page) -> None:
    page.goto(HOME)
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    pings = world.spawn("pc1", ["ping", "-q", "-i", "0.02", plan.NETWORKS["cn"][0]])
    said = complaints_of(page)
    row = page.locator("#rows tbody tr", has_text="KleungPC1")
    try:
        expect(row.locator(".traffic")).to_contain_text("bit/s")
        expect(row).to_contain_text(_FA1)

        roam("fa2")

        expect(row).to_contain_text(f"{_FA2} ipip")
        last = page.locator("#timeline li").first
        expect(last).to_contain_text(_FA2)
        expect(last).to_contain_text("3 sessions")
        expect(last).to_contain_text(re.compile(r"silent \d+ ms"))
        expect(page.locator("#events")).to_contain_text("moved nai=kleung@example.net sub_nai='KleungPC1'")
        assert said == []
        keep(page, "home-agent")
        page.emulate_media(color_scheme="dark")
        keep(page, "home-agent-dark")
    finally:
        pings.kill()
        pings.wait()


def test_it_can_be_searched_by_keyboard(world: World, page: Page) -> None:
    page.goto(HOME)
    expect(page.locator("#rows tbody tr")).to_have_count(3)

    page.keyboard.press("/")
    page.keyboard.type("pc2")

    expect(page.locator("#rows tbody tr")).to_have_count(1)
    assert sessions(page) == ["KleungPC2"]
    page.keyboard.press("Control+A")
    page.keyboard.type("<b>nobody</b>")
    expect(page.locator("#rows .empty")).to_have_text("Nothing matches “<b>nobody</b>”.")


def test_without_the_token_no_session_is_released(world: World, page: Page) -> None:
    page.goto(HOME)

    page.get_by_role("button", name="Release kleung@example.net KleungPC2").click()
    page.locator("#token").fill("not the token")
    page.locator("#ask-release").click()

    expect(page.get_by_role("alert")).to_have_text("Not released: that needs the token")
    assert "KleungPC2" in bindings(world)


def test_with_the_token_a_session_is_released_without_a_mouse(world: World, page: Page, token: str) -> None:
    page.goto(HOME)
    release = page.get_by_role("button", name="Release kleung@example.net KleungPC2")
    release.focus()
    page.keyboard.press("Enter")
    keep(page, "release")
    page.locator("#inform").focus()
    page.keyboard.press("Space")  # the node is not told, or it would be back at once
    page.locator("#token").focus()
    page.keyboard.type(token)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator("#rows tbody tr")).to_have_count(2)
    assert "KleungPC2" not in bindings(world)
    expect(page.locator("#search")).to_be_focused()
    assert stat.S_IMODE((Path(world.directory / "ha") / "ha.sqlite.token").stat().st_mode) == 0o600


def test_a_button_that_has_the_focus_keeps_it_while_the_table_is_drawn_anew(world: World, page: Page) -> None:
    page.goto(HOME)
    release = page.get_by_role("button", name="Release kleung@example.net KleungPC1")
    release.focus()
    page.evaluate("document.querySelector('#rows table').dataset.former = 'yes'")

    expect(page.locator("#rows table:not([data-former])")).to_have_count(1)

    expect(release).to_be_focused()


def test_on_a_phone_nothing_is_wider_than_the_screen(world: World, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(HOME)
    expect(page.locator("#link")).to_have_text("live")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    keep(page, "phone")
    context.close()


@pytest.fixture
def crowd(world: World, tmp_path: Path) -> Iterator[str]:
    """Where a second home agent serves its page, with 10,000 bindings."""
    population = Population(_MANY // _EACH, _EACH)
    text = population.configuration("none").replace('address = "', f'address = "{_MANY_ADDRESS}" # ', 1)
    config = tmp_path / "many.toml"
    config.touch(0o600)
    config.write_text(text.replace("port = ", f'http = "127.0.0.1:{_PORT}"\nport = ', 1))
    state = str(tmp_path / "ha.sqlite")
    world.run("ha", ["ip", "address", "add", f"{_MANY_ADDRESS}/32", "dev", "lo"])
    filled = world.run("ha", [sys.executable, "-m", "tools.bench.state", state, str(population.nais), str(_EACH)])
    assert filled.returncode == 0, filled.stderr
    command = [sys.executable, "-m", "host_agents.cli.main", "ha", "run", "--config", str(config)]
    with open(tmp_path / "log", "w") as log, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(tmp_path / "notify"))
        ready.settimeout(20)
        environment = anchor.environment({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        daemon = world.spawn("ha", command, stderr=log, env=environment)
        assert ready.recv(100) == b"READY=1"
    try:
        yield f"http://127.0.0.1:{_PORT}"
    finally:
        daemon.terminate()
        assert daemon.wait(10) == 0, (tmp_path / "log").read_text()


def test_ten_thousand_bindings_are_shown_a_page_at_a_time(crowd: str, page: Page) -> None:
    page.goto(crowd)

    expect(page.locator("#count")).to_have_text("10,000")
    expect(page.locator("#rows tbody tr")).to_have_count(50)
    expect(page.locator(".pager span")).to_have_text("1–50 of 10,000")
    page.keyboard.press("n")
    expect(page.locator(".pager span")).to_have_text("51–100 of 10,000")
    page.evaluate("document.querySelector('#rows table').dataset.former = 'yes'")
    expect(page.locator("#rows table:not([data-former])")).to_have_count(1)
    expect(page.locator(".pager span")).to_have_text("51–100 of 10,000")

    page.locator("#search").fill("n1249@example.net")
    expect(page.locator("#rows tbody tr")).to_have_count(_EACH)
    keep(page, "many")


def test_what_the_api_shows_is_what_the_control_socket_shows(world: World, page: Page) -> None:
    answer = page.goto(f"{HOME}/api/show/bindings?sub_nai=KleungPC1")

    assert answer is not None
    (ours,) = json.loads(answer.text())["bindings"]
    (theirs,) = (one for one in world.entourage("ha", "show", "bindings")["bindings"] if one["sub_nai"] == "KleungPC1")
    assert ours["home_address"] == theirs["home_address"]
    assert ours.keys() == theirs.keys()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("subnai=KleungPC1", "where takes address, nai, search, sub_nai"),
        ("limit=some", "limit is a number from 0 up"),
    ],
)
def test_an_api_that_is_asked_for_what_it_has_not_says_so(world: World, page: Page, query: str, reason: str) -> None:
    answer = page.goto(f"{HOME}/api/show/bindings?{query}")

    assert answer is not None
    assert (answer.status, answer.json()) == (400, {"error": reason})
