"""What keeps this machine from being a device on a serial line."""


class AttachFailed(Exception):
    """One line: what is missing or gone, and where."""
