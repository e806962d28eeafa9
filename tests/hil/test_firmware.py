"""Every module of the firmware on the board can be imported, from what the deployment brought."""

from __future__ import annotations

from tools.board import payload
from tools.board.connection import Connection
from tools.board.identity import Identity

MODULES = [name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in payload.sources()]
MODULES = [name for name in MODULES if f"{name}.py" not in payload.PROGRAMS]

_IMPORT = """
places = {}
for name in %r:
    module = __import__(name)
    for inner in name.split(".")[1:]:
        module = getattr(module, inner)
    places[name] = getattr(module, "__file__", "frozen")
"""


def test_every_module_is_imported_and_compiled(board: Connection, identity: Identity) -> None:
    """Package by package: all at once are more than a node ever imports, and what that takes test_budgets says."""
    for package in payload.packages():
        if package == "port_esp32" and not identity.esp32:
            continue
        modules = [name for name in MODULES if name.split(".")[0] == package]
        board.enter()
        board.run(_IMPORT % (modules,))

        places: dict[str, str] = board.value("places")
        assert set(places) == set(modules)
        assert {place.rpartition(".")[2] for place in places.values()} <= {"mpy", "frozen"}
