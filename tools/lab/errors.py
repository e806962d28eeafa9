"""Why the lab could not do what was asked."""


class LabFailed(Exception):
    """One line: what was tried, and what was in the way."""
