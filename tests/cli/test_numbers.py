"""Numbers on the command line: one that makes no sense is refused before anything is done."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from host_agents.cli.main import main, make_parser
from host_agents.cli.numbers import real, whole

NUMBERS = {whole(0, 1).__code__, real(0, 1).__code__}
NOUGHT = {"decode --sub-nai-vendor", "attach --metric", "lab up --delay"}  # means something there


def options(parser: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, argparse.Action]]:
    """Every option and argument of every command, by its whole name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from options(command, f"{words} {name}")
        else:
            yield f"{words} {max([*action.option_strings, ''], key=len) or action.dest}".strip(), action


OPTIONS = list(options(make_parser()))
NUMERIC = {name: one for name, one in OPTIONS if getattr(one.type, "__code__", None) in NUMBERS}


def test_no_option_takes_a_number_as_it_comes() -> None:
    assert len(NUMERIC) >= 17
    assert [name for name, one in OPTIONS if one.type in (int, float, complex)] == []


@pytest.mark.parametrize("name", NUMERIC)
def test_what_makes_no_sense_is_a_usage_error_that_names_the_option(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *command, option = name.split()
    for word in ("-1", str(10**12), "nan", "inf", "many", "", *([] if name in NOUGHT else ["0"])):
        with pytest.raises(SystemExit) as ended:
            main([*command, option, word])

        told = capsys.readouterr()
        assert (ended.value.code, told.out) == (2, ""), word
        assert f"error: argument {option}: " in told.err.splitlines()[-1], word
        assert f"{word} is outside " in told.err or f"'{word}' is not a" in told.err


@pytest.mark.parametrize("name", NUMERIC)
def test_what_an_option_has_by_itself_makes_sense(name: str) -> None:
    action = NUMERIC[name]

    assert action.default is None or action.type(str(action.default)) == action.default


def test_the_ends_of_a_range_belong_to_it() -> None:
    assert [whole(1, 8)(text) for text in ("1", "8")] == [1, 8]
    assert [real(0.1, 1800)(text) for text in ("0.1", "1800")] == [0.1, 1800.0]
