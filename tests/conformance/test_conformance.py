"""No line of the checklist without a test or a stated reason, no answer that no test gives, no page of yesterday."""

import pytest

from tests.conformance.lines import SECTIONS, Line, Section
from tests.conformance.page import PAGE, by_line, collected, faults, page


@pytest.fixture(scope="module")
def shown(request):
    """Of the tests that this run has collected, where those are all."""
    config = request.config
    some = [config.getoption(one, None) for one in ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf")]
    if config.args != config.getini("testpaths") or any(some):
        return by_line(collected())
    return by_line([item.nodeid for item in request.session.items])


def test_each_line_has_a_test_of_its_answer_or_a_reason_why_not(shown):
    assert faults(SECTIONS, shown) == []


def test_the_page_is_what_would_be_made_now(shown):
    assert PAGE.read_text() == page(SECTIONS, shown), "make docs"


def test_lines_are_in_the_checklists_order_and_there_once():
    for section in SECTIONS:
        names = [line.id for line in section.lines]
        assert names == sorted(set(names), key=lambda name: (name[:3], name[3:].zfill(3)))


NAMES = {
    "t.py::test_xx_01_silence": [],
    "t.py::test_ha_01_silence": ["HA-01"],
    "t.py::test_of_two_ha_01_fa_52_lines": ["FA-52", "HA-01"],
    "t.py::test_it[HA-R3 old: 134]": ["HA-R3"],
    "t.py::test_it[MN-131 67]": ["MN-131"],
    "ha_01.py::test_it[to mn-10.0.0.1]": [],
    "t.py::test_alpha_01": [],
}


@pytest.mark.parametrize(("name", "lines"), NAMES.items(), ids=range(len(NAMES)))
def test_a_tests_name_says_which_lines_it_is_about(name, lines):
    assert sorted(by_line([name])) == lines


FAULTS = {
    "a line without anything": (Line("HA-01", "asks", "134"), [], ["HA-01: neither a test nor a reason why not"]),
    "a code without a test": (
        Line("HA-01", "asks", "134, 70"),
        ["t::test_ha_01_70"],
        ["HA-01: 134 stands in the name "],
    ),
    "another number": (Line("HA-01", "asks", "134"), ["t::test_ha_01_1345"], ["HA-01: 134 stands in the name "]),
    "silence without a test": (Line("HA-01", "", "134; silence"), ["t::test_ha_01_134"], ["HA-01: silence stands in "]),
    "a test of no line": (
        Line("HA-01", "", "", "why not"),
        ["t::test_ha_99"],
        ["t::test_ha_99: there is no line HA-99"],
    ),
    "nothing": (Line("HA-01", "", "134 (RFC 4433)"), ["t::test_that[HA-01 once: 134]"], []),
    "a reason": (Line("HA-01", "", "134", "why not"), [], []),
}


@pytest.mark.parametrize(("line", "tests", "wrong"), FAULTS.values(), ids=["".join(name.split()) for name in FAULTS])
def test_what_is_wrong_is_said(line, tests, wrong):
    found = faults([Section("title", (line,))], by_line(tests))

    assert len(found) == len(wrong)
    assert all(one.startswith(start) for one, start in zip(found, wrong, strict=True))
