"""The report on paper: the same page, printed by a Chromium that is there anyway."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.trial.errors import TrialFailed

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 90  # seconds


def browser() -> str | None:
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def print_page(page: Path, pdf: Path) -> None:
    """Raises TrialFailed, with what is missing."""
    _run(page, [f"--print-to-pdf={pdf.absolute()}", "--no-pdf-header-footer"], pdf)


def picture(page: Path, png: Path, width: int = 1080, height: int = 2400) -> None:
    """Of the page as a browser shows it. Raises TrialFailed."""
    _run(page, [f"--screenshot={png.absolute()}", f"--window-size={width},{height}", "--hide-scrollbars"], png)


def _run(page: Path, words: list[str], made: Path) -> None:
    program = browser()
    if program is None:
        raise TrialFailed(f"{made}: needs Chromium (Debian: apt-get install chromium); {page} prints from any browser")
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}", *words]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # which root has none of; the page is ours and has no script
        try:
            done = subprocess.run([*command, page.absolute().as_uri()], capture_output=True, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise TrialFailed(f"{made}: {program} did not end within {_PATIENCE} s")
    if done.returncode or not made.exists():
        raise TrialFailed(f"{made}: {program} ended with {done.returncode}")
