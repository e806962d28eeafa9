"""Names as words of a command: octets that are no text are a usage error, before anything is asked or written."""

from __future__ import annotations

import argparse
import os
from typing import Any


class Parser(argparse.ArgumentParser):
    """Every word is UTF-8, unless an argument's `type` says otherwise: `str` for what only the operating system reads.

    Parsers of sub-commands are of the same kind.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register("type", None, _text)

    def add_subparsers(self, **settings: Any) -> Any:
        """What follows is for a sub-command to judge."""
        commands = super().add_subparsers(**settings)
        commands.type = str
        return commands


def interface(text: str) -> str:
    """For argparse's `type`: what the kernel may call one, whatever else it thinks of it."""
    if not 0 < len(_text(text).encode()) < 16:
        raise argparse.ArgumentTypeError("an interface name has 1..15 octets")
    return text


def _text(word: str) -> str:
    """Octets for which the locale has no letters may be UTF-8 all the same."""
    try:
        word.encode()
        return word
    except UnicodeEncodeError:
        pass
    try:
        return os.fsencode(word).decode()
    except UnicodeError as error:
        raise argparse.ArgumentTypeError("not UTF-8") from error
