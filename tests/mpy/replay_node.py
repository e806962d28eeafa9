"""Give a mobile node engine the inputs of a recorded life, and print what it answers, one JSON line each.

replay_node.py RECORD, a JSON file: lives, each with config, ntp_ms, seed, remembered and inputs: [method, arguments].
Octets are written "hex:...".
"""

import json
import sys

from mip4.record import Record
from mobile_node.mobile_node import MobileNode


def plain(value):
    """As JSON can write it down, the same on both interpreters."""
    if isinstance(value, bytes):
        return "hex:" + value.hex()
    if isinstance(value, Record):
        return [type(value).__name__] + [plain(one) for one in value.values()]
    if isinstance(value, Exception):
        return [type(value).__name__, str(value)]
    if isinstance(value, dict):
        return [[key, plain(one)] for key, one in sorted(value.items())]
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def native(value):
    """The other way, for the inputs: octets are all that JSON cannot say."""
    if isinstance(value, str) and value[:4] == "hex:":
        return bytes.fromhex(value[4:])
    if isinstance(value, list):
        return [native(one) for one in value]
    if isinstance(value, dict):
        return {key: native(one) for key, one in value.items()}
    return value


def answer(node, effects: list, now: int) -> str:
    """What the node answered to one input, when it wants to be woken, and what it would show its owner."""
    return json.dumps([plain(effects), node.deadline(), plain(node.status(now))])


def main(path: str) -> None:
    with open(path) as file:
        lives = json.loads(file.read())
    for life in lives:
        node = MobileNode(native(life["config"]), life["ntp_ms"], native(life["seed"]), native(life["remembered"]))
        for method, arguments in life["inputs"]:
            arguments = native(arguments)
            print(answer(node, getattr(node, method)(*arguments), arguments[-1]))


if __name__ == "__main__":
    main(sys.argv[1])
