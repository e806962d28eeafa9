"""What can go wrong with a trial."""


class TrialFailed(Exception):
    """One line for a person: which file or node, and why."""
