"""As much of libbpf as the datapath needs: load one object file, hold its maps, find those of an earlier run.

bpf(2) knows a map by a descriptor and by a number that everybody sees; maps live as long as a program that uses them.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_PERCPU_ARRAY = 6
_ANY, _NO_ELEMENT = 0, 2
_BATCH = 1 << 16  # elements that one system call moves
_MOST_MAPS = 16

_Refusal = Callable[[], OSError]


class _ProgramInfo(ctypes.Structure):
    """The beginning of struct bpf_prog_info."""

    _fields_ = [
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_length", ctypes.c_uint32),
        ("translated_length", ctypes.c_uint32),
        ("jited", ctypes.c_uint64),
        ("translated", ctypes.c_uint64),
        ("load_time", ctypes.c_uint64),
        ("created_by", ctypes.c_uint32),
        ("map_count", ctypes.c_uint32),
        ("map_ids", ctypes.c_uint64),
    ]


class _MapInfo(ctypes.Structure):
    """The beginning of struct bpf_map_info."""

    _fields_ = [
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
    ]


def library() -> Any:
    """Raises OSError: it is not installed.

    Its calls keep the interpreter: they do not wait, and given back for each entry of a map it would change hands with
    the thread that writes the store again and again.
    """
    global _library
    if _library is None:
        _library = ctypes.PyDLL("libbpf.so.1", use_errno=True)
        _library.libbpf_set_print(None)  # the kernel's verifier is for us, not for an operator's terminal
        for name in ("bpf_object__open_file", "bpf_object__find_map_by_name", "bpf_object__find_program_by_name"):
            getattr(_library, name).restype = ctypes.c_void_p
        _library.bpf_map_update_elem.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64)
    return _library


_library: Any = None


class Map:
    """One map. Keys and values are octets; of a map with a value for each processor get() gives them one by one.

    All methods raise OSError.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        info = _MapInfo()
        _info(descriptor, info)
        self.name = info.name.decode()
        self.key_size = int(info.key_size)
        self.capacity = int(info.max_entries)
        self.shape = (info.type, info.key_size, info.value_size, info.max_entries, info.flags)
        self._each = -(-int(info.value_size) // 8) * 8 if info.type == _PERCPU_ARRAY else int(info.value_size)
        self._copies = _processors() if info.type == _PERCPU_ARRAY else 1
        self._value = ctypes.create_string_buffer(self._each * self._copies)
        self._look, self._set = library().bpf_map_lookup_elem, library().bpf_map_update_elem

    def close(self) -> None:
        os.close(self.descriptor)

    def get(self, key: bytes) -> list[bytes] | None:
        """Its value, or values; None where there is none."""
        if self._look(self.descriptor, key, self._value):
            if ctypes.get_errno() == _NO_ELEMENT:
                return None
            raise _refused()
        octets = self._value.raw
        if self._copies == 1:
            return [octets]
        return [octets[at : at + self._each] for at in range(0, len(octets), self._each)]

    def put(self, key: bytes, value: bytes) -> None:
        """Insert or replace; on every processor alike."""
        if self._set(self.descriptor, key, value * self._copies, _ANY) < 0:
            raise _refused()

    def take(self, key: bytes) -> None:
        """What is not there is no error."""
        if library().bpf_map_delete_elem(self.descriptor, key) and ctypes.get_errno() != _NO_ELEMENT:
            raise _refused()

    def put_all(self, entries: Mapping[bytes, bytes]) -> None:
        """Many at once; of a map with one value each."""
        keys, values = list(entries), list(entries.values())
        for at in range(0, len(keys), _BATCH):
            part = keys[at : at + _BATCH]
            count = ctypes.c_uint32(len(part))
            octets = b"".join(part), b"".join(values[at : at + _BATCH])
            _check(library().bpf_map_update_batch(self.descriptor, *octets, ctypes.byref(count), None))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All of them; of a hash map that nobody else changes meanwhile."""
        keys = ctypes.create_string_buffer(self.key_size * _BATCH)
        values = ctypes.create_string_buffer(self._each * _BATCH)
        place, former = ctypes.create_string_buffer(8), None
        while True:
            count = ctypes.c_uint32(_BATCH)
            failed = library().bpf_map_lookup_batch(
                self.descriptor, former, place, keys, values, ctypes.byref(count), None
            )
            if failed and ctypes.get_errno() != _NO_ELEMENT:
                raise _refused()
            key_octets = keys.raw[: self.key_size * count.value]
            value_octets = values.raw[: self._each * count.value]
            for number in range(count.value):
                key = key_octets[self.key_size * number : self.key_size * (number + 1)]
                yield key, value_octets[self._each * number : self._each * (number + 1)]
            if failed:
                return
            former = place


class Loaded:
    """An object file in the kernel. programs: name -> descriptor, of those wanted. maps: by name."""

    def __init__(self, path: Path, programs: list[str], sizes: Mapping[str, int], former: Mapping[str, Map]) -> None:
        """sizes: entries of maps that are not as in the file. former: maps to go on with instead of making new ones.

        Raises OSError.
        """
        calls = library()
        self._object = calls.bpf_object__open_file(os.fsencode(path), None)
        if not self._object:
            raise _refused()
        it = ctypes.c_void_p(self._object)
        wanted = {name: calls.bpf_object__find_program_by_name(it, name.encode()) for name in programs}
        for name in PROGRAMS:
            program = ctypes.c_void_p(calls.bpf_object__find_program_by_name(it, name.encode()))
            calls.bpf_program__set_autoload(program, ctypes.c_bool(name in wanted))
        found = {name: ctypes.c_void_p(calls.bpf_object__find_map_by_name(it, name.encode())) for name in MAPS}
        for name, entries in sizes.items():
            _check(calls.bpf_map__set_max_entries(found[name], ctypes.c_uint32(entries)))
        for name, one in former.items():
            _check(calls.bpf_map__reuse_fd(found[name], one.descriptor))
        _check(calls.bpf_object__load(it))
        self.programs = {name: int(calls.bpf_program__fd(ctypes.c_void_p(one))) for name, one in wanted.items()}
        self.maps = {name: Map(os.dup(calls.bpf_map__fd(one))) for name, one in found.items()}

    def close(self) -> None:
        """What is attached stays."""
        for one in self.maps.values():
            one.close()
        library().bpf_object__close(ctypes.c_void_p(self._object))


PROGRAMS = ("home_enter", "home_leave", "visited_enter", "visited_leave", "visited_admit")
MAPS = ("mip_agent", "mip_sessions", "mip_counts", "mip_drops")


def maps_of(program: int) -> dict[str, Map]:
    """Those that a loaded program uses, by name. program: its number. Raises OSError, also without CAP_SYS_ADMIN."""
    descriptor = library().bpf_prog_get_fd_by_id(ctypes.c_uint32(program))
    _check(min(descriptor, 0))
    try:
        numbers = (ctypes.c_uint32 * _MOST_MAPS)()
        info = _ProgramInfo(map_count=_MOST_MAPS, map_ids=ctypes.addressof(numbers))
        _info(descriptor, info)
    finally:
        os.close(descriptor)
    found = {}
    for number in numbers[: min(info.map_count, _MOST_MAPS)]:
        held = library().bpf_map_get_fd_by_id(ctypes.c_uint32(number))
        _check(min(held, 0))
        one = Map(held)
        found[one.name] = one
    return found


def _info(descriptor: int, info: ctypes.Structure) -> None:
    size = ctypes.c_uint32(ctypes.sizeof(info))
    _check(library().bpf_obj_get_info_by_fd(descriptor, ctypes.byref(info), ctypes.byref(size)))


def _processors() -> int:
    """Those that the kernel makes room for, present or not."""
    count = int(library().libbpf_num_possible_cpus())
    _check(min(count, 0))
    return count


def _check(result: int) -> None:
    if result < 0:
        raise _refused()


def _refused() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
