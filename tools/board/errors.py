"""Why a board could not be served."""


class BoardFailed(Exception):
    """One line: what was tried, on which port or file, and what was in the way."""
