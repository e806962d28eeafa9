"""What can be wrong with the machine or the configuration, as opposed to with a message (mip4.errors)."""


class ConfigurationError(Exception):
    """The configuration file says something that the node cannot run with. One line: file, key, reason."""


class KernelRefused(Exception):
    """The platform would not do what was asked. One line: what, the address or interface it was about, and why."""
