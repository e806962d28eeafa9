"""What can be wrong with the machine or the configuration, as opposed to with a message (mip4.errors)."""

from errno import ENOENT


class ConfigurationError(Exception):
    """The configuration file says something that the node cannot run with. One line: file, key, reason."""


class KernelRefused(Exception):
    """The platform would not do what was asked. One line: what, the address or interface it was about, and why."""


def reason(error: OSError) -> str:
    """Why a file cannot be read, for a person."""
    return "there is no such file" if error.errno == ENOENT else "errno %d" % error.errno
