"""`esp32` as MicroPython 1.29 has it, as far as the node goes. FLASH names the file that is its NVS."""

import json
import os

import air

_ESP_ERR_NVS_NOT_FOUND = -4354
try:
    with open(os.getenv("FLASH")) as _file:
        _values = json.load(_file)
except OSError:
    _values = {}


class NVS:
    def __init__(self, namespace):
        self._values = _values

    def _get(self, kind, name):
        assert len(name) <= 15, "a key of NVS has 15 octets at most"
        try:
            return self._values[kind + name]
        except KeyError:
            raise OSError(_ESP_ERR_NVS_NOT_FOUND)

    def get_blob(self, name, buffer):
        octets = bytes.fromhex(self._get("b", name))
        buffer[: len(octets)] = octets
        return len(octets)

    def set_blob(self, name, octets):
        self._values["b" + name] = bytes(octets).hex()

    def get_i32(self, name):
        return self._get("i", name)

    def set_i32(self, name, value):
        self._values["i" + name] = value

    def commit(self):
        air.note(commit=1)
        with open(os.getenv("FLASH"), "w") as file:
            json.dump(self._values, file)


class Partition:
    @staticmethod
    def mark_app_valid_cancel_rollback():
        air.note(valid=1)
