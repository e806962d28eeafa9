"""What can be wrong with the machine or its configuration, as opposed to with a message."""

from __future__ import annotations

import os


class KernelRefused(Exception):
    """The kernel would not do what was asked. what: the operation and the address it was about."""

    def __init__(self, what: str, reason: str | Exception):
        super().__init__(f"{what}: {in_words(reason) if isinstance(reason, OSError) else reason}")


class ConfigurationError(Exception):
    """A file says something we cannot run with. One line: file, key, reason."""


class StoreFailed(Exception):
    """The state file could not be read or written; nothing that was asked for since the last commit is durable."""


class BadRequest(Exception):
    """What somebody asks of a daemon makes no sense, or there is no such thing."""


class NotAllowed(Exception):
    """Who asks may only look."""


def in_words(error: OSError) -> str:
    """What the kernel says, without its number or the file that it is about."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
