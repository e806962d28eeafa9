"""The programs of one side of a tunnel and their maps: those of a former run, if they can be had."""

from __future__ import annotations

from pathlib import Path

from host_agents.datapath.bpf.libbpf import Loaded, Map, maps_of
from host_agents.runtime.errors import in_words

OBJECT = Path(__file__).with_name("mip_tunnel.bpf.o")

_HOME = ["home_enter", "home_leave"]
_VISITED = ["visited_enter", "visited_leave", "visited_admit"]


def load(home: bool, room: int, former: int | None) -> tuple[Loaded, bool]:
    """home: the home agent's side. room: sessions. former: the number of a program of an earlier run.

    Returns whether the maps are that program's. Raises OSError.
    """
    programs, sizes = _HOME if home else _VISITED, {"mip_sessions": room, "mip_counts": room}
    maps = maps_in_use(former) if former is not None else {}
    loaded = Loaded(OBJECT, programs, sizes, {})
    alike = bool(maps) and all(name in maps and maps[name].shape == one.shape for name, one in loaded.maps.items())
    if alike:
        loaded.close()
        loaded = Loaded(OBJECT, programs, sizes, maps)
    for one in maps.values():
        one.close()
    return loaded, alike


def maps_in_use(program: int) -> dict[str, Map]:
    """By name; none where we may not look (CAP_SYS_ADMIN)."""
    try:
        return maps_of(program)
    except PermissionError:
        return {}


def why_not() -> str:
    """What this machine lacks; "": nothing."""
    if not OBJECT.exists():
        return f"{OBJECT.name} is not built: make setup"
    try:
        Loaded(OBJECT, _HOME, {}, {}).close()
    except PermissionError:
        return "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
    except OSError as error:  # ctypes says itself which library is missing
        return in_words(error)
    return ""
