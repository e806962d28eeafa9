"""`micropython state_octets.py PATH`: a state file there that is cut at every octet, and has every bit turned."""

import sys

from runtime import state

NAI, SESSIONS = "kleung@example.net", [["", "", "192.0.2.17", "192.0.2.1"], ["Küche", "usb", "192.0.2.18", "192.0.2.1"]]
path = sys.argv[1]


class Log:
    said = []

    def warning(self, text):
        self.said.append(text)


def loaded(octets: bytes) -> tuple:
    """What is loaded from them, and what is said about it."""
    with open(path, "wb") as file:
        file.write(octets)
    Log.said = []
    return state.load(path, NAI, Log()), Log.said


state.save(path, NAI, SESSIONS)
with open(path, "rb") as file:
    whole = file.read()
assert loaded(whole) == (SESSIONS, [])

damaged = [whole[:size] for size in range(len(whole))]
damaged += [
    whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in range(8)
]
ignored = ([], [f"state file {path} ignored: it is torn or damaged, or no state file of this program"])
for octets in damaged:
    assert loaded(octets) == ignored, octets
state.save(path, NAI, SESSIONS)  # and it is not in the way of the next one
print(len(damaged))
