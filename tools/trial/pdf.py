"""The report on paper: the same page, printed by a Chromium that is there anyway."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from host_agents.store.whole_file import whole_file
from tools.trial.errors import TrialFailed

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 90  # seconds
_ENDS = (b"%%EOF", b"IEND\xaeB`\x82")  # of a PDF and of a PNG that are whole


def browser() -> str | None:
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def print_page(page: Path, pdf: Path) -> None:
    """Raises TrialFailed, with what is missing."""
    _run(page, "--print-to-pdf=", ["--no-pdf-header-footer"], pdf)


def picture(page: Path, png: Path, width: int = 1080, height: int = 2400) -> None:
    """Of the page as a browser shows it. Raises TrialFailed."""
    _run(page, "--screenshot=", [f"--window-size={width},{height}", "--hide-scrollbars"], png)


def _run(page: Path, option: str, words: list[str], made: Path) -> None:
    program = browser()
    if program is None:
        raise TrialFailed(f"{made}: needs Chromium (Debian: apt-get install chromium); {page} prints from any browser")
    with tempfile.TemporaryDirectory() as profile:
        printed = Path(profile, "printed")
        command = [program, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}", *words]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # which root has none of; the page is ours and has no script
        command += [f"{option}{printed}", page.absolute().as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise TrialFailed(f"{made}: {program} did not end within {_PATIENCE} s")
        octets = printed.read_bytes() if printed.exists() else b""
    if done.returncode or not octets.rstrip().endswith(_ENDS):  # it ends with 0 where a disk is full
        raise TrialFailed(f"{made}: {program} ended with {done.returncode} and did not print it")
    try:
        with whole_file(made) as beside:
            beside.write_bytes(octets)
    except OSError as error:
        raise TrialFailed(f"{made}: {error.strerror}")
