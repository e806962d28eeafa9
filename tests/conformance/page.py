"""Which tests speak of which line of the checklist, what is missing, and the page that shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.lines import Line, Section

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"

_ID = re.compile(r"(?<![a-z])(ha|fa|mn)[-_](r\d|\d{2,3})(?![\d.])", re.IGNORECASE)
_HEAD = """\
# Conformance

Each line of our checklist for RFC 5944 and its companions, what it gets from us, and the tests that show it. Numbers
are Reply codes; silence is a datagram that is dropped, counted and not answered. Made by `make docs` from
`tests/conformance/lines.py` and the names of the tests, which carry the lines' numbers; `make test` fails where a line
has neither a test nor a stated reason, and when this page is not what would be made now.
"""


def collected() -> list[str]:
    """The ids of all tests, as pytest collects them: `path::name[case]`."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-header"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def by_line(tests: Sequence[str]) -> dict[str, list[str]]:
    """Line -> those of `tests` whose name speaks of it."""
    found: dict[str, list[str]] = {}
    for test in tests:
        name = test.partition("::")[2]
        for line in sorted({"-".join(match).upper() for match in _ID.findall(name)}):
            found.setdefault(line, []).append(test)
    return found


def faults(sections: Sequence[Section], shown: dict[str, list[str]]) -> list[str]:
    """What is wrong: a line that nothing is said about, an answer no test has in its name, a test of no line."""
    lines = [line for section in sections for line in section.lines]
    wrong = [
        f"{test}: there is no line {one}" for one in set(shown) - {line.id for line in lines} for test in shown[one]
    ]
    for line in lines:
        names = " ".join(test.partition("::")[2] for test in shown.get(line.id, ()))
        if not names and not line.remark:
            wrong.append(f"{line.id}: neither a test nor a reason why not")
        for answer in re.findall(r"\d+(?!\d|\))|silence", line.answer) if names else ():
            if not re.search(rf"(?<!\d){answer}(?!\d)", names):
                wrong.append(f"{line.id}: {answer} stands in the name of none of its tests")
    return wrong


def page(sections: Sequence[Section], shown: dict[str, list[str]]) -> str:
    """The whole page, as Markdown."""
    return _HEAD + "".join(_section(section, shown) for section in sections)


def _section(section: Section, shown: dict[str, list[str]]) -> str:
    head = f"\n## {section.title}\n\n| line | what it asks | what it gets | shown by |\n|---|---|---|---|\n"
    return head + "".join(_row(line, shown.get(line.id, [])) for line in section.lines)


def _row(line: Line, tests: list[str]) -> str:
    functions = dict.fromkeys(test.partition("[")[0] for test in tests)  # in the order they came, each once
    shown = "<br>".join([*(f"`{function}`" for function in functions), *([line.remark] if line.remark else [])])
    return f"| {line.id} | {line.asks} | {line.answer} | {shown} |\n"
