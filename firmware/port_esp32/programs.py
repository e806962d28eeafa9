"""The programs of applications: /applications/NAME.py, with `async def run(application)`."""

import os

FOLDER = "/applications"
_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


class Application:
    """What a program is given. name: its sub-NAI."""

    def __init__(self, name: str, applications):
        self.name = name
        self._applications = applications

    def open(self, port: int = 0):
        """A runtime.applications.DatagramSocket with the session's home address; port 0: any. Raises OSError."""
        return self._applications.open(self.name, port)


def sources(names: list, applications) -> list:
    """(name, coroutine function that takes the runtime) for every application that has a program here.

    The runtime starts one again that ends by an exception, a little later each time.
    """
    found = []
    for name in names:
        if all([one in _WORD for one in name]) and _is_there(name):
            found.append(("application %s" % name, lambda runtime, name=name: _run(name, applications)))
    return found


def _is_there(name: str) -> bool:
    try:
        return any([one in (name + ".py", name + ".mpy") for one in os.listdir(FOLDER)])
    except OSError:
        return False


async def _run(name: str, applications) -> None:
    module = __import__("%s.%s" % (FOLDER.rpartition("/")[2], name), None, None, ("run",))
    await module.run(Application(name, applications))
