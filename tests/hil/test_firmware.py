"""Every module of the firmware on the board: it can be imported, from what the deployment brought, and leaves room."""

from __future__ import annotations

from tools.board import payload
from tools.board.connection import Connection
from tools.board.identity import Identity

MODULES = [name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in payload.sources()]
MODULES = [name for name in MODULES if f"{name}.py" not in payload.PROGRAMS]
ROOM = 1 / 3  # of the heap, once everything is imported; frozen into an image, with its code in flash, more is left

_IMPORT = """
import gc
gc.collect()
before = gc.mem_alloc()
places = {}
for name in %r:
    module = __import__(name)
    for inner in name.split(".")[1:]:
        module = getattr(module, inner)
    places[name] = getattr(module, "__file__", "frozen")
gc.collect()
"""


def modules_of(identity: Identity) -> list[str]:
    """Those that can be imported there: the stand-in has no radio, and the page wants a web server on every board."""
    absent = ("port_esp32.portal",) if identity.esp32 else ("port_esp32",)
    return [name for name in MODULES if not name.startswith(absent)]


def test_every_module_is_imported_compiled_and_leaves_room_for_sessions(board: Connection, identity: Identity) -> None:
    modules = modules_of(identity)
    board.run(_IMPORT % (modules,))

    places: dict[str, str] = board.value("places")
    used, free = board.value("(gc.mem_alloc() - before, gc.mem_free())")
    print(f"imported: {used} octets of heap, {free} free")
    assert set(places) == set(modules)
    assert {place.rpartition(".")[2] for place in places.values()} <= {"mpy", "frozen"}
    assert free > ROOM * (used + free)
