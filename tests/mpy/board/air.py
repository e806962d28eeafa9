"""What surrounds a board that is not there. AIR names a JSON file, which a test writes:

"networks": [{"ssid", "bssid", "channel", "rssi", "password", "address", "mask", "router"}], what the radio can reach;
"stations": link addresses on our access point; "buttons": GPIOs that are held; "refused": how many sends find no room;
"broken": the radio's driver is; "uart": a pseudo-terminal; "battery_uv": at the converter's pin.
"""

import json
import os


def read() -> dict:
    with open(os.getenv("AIR")) as file:
        return json.load(file)


def note(**values) -> None:
    """One line of JSON for the test, on NOTES."""
    with open(os.getenv("NOTES"), "a") as file:
        file.write(json.dumps(values) + "\n")
