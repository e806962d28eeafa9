"""A real headless Chromium in a place of the lab, so that it sees the pages that daemons serve on loopback there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tools.trial import pdf

# As root it needs no-sandbox; the others keep it from looking for its makers' hosts.
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESK, PHONE = {"width": 1200, "height": 1000}, {"width": 390, "height": 844}


@contextmanager
def browser_in(enter: list[str], folder: Path) -> Iterator[Browser]:
    """enter: the command line that enters the place. folder: for what starts it."""
    program = pdf.browser()
    if program is None:
        pytest.skip("no Chromium here")
    start = folder / "chromium"
    start.write_text(f'#!/bin/sh\nexec {shlex.join([*enter, program])} "$@"\n')
    start.chmod(0o700)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(start), args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def complaints_of(page: Page) -> list[str]:
    """What its console says from now on, and what is raised in it: a page that is well says nothing."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said
