"""How a board starts the node, and what it does when the node ends: main.py calls start() there."""

import json
import sys
import time

import machine

from mip4.compat import const
from port_esp32.chip import chip_of
from port_esp32.health import guard_prompt
from port_esp32.keys import hide
from port_esp32.keystore import Keystore
from port_esp32.led import PATTERNS

CONFIG = "/config.json"
_TOO_OFTEN = const(3)  # starts in a row that came to nothing
WINDOW_MS = 1500  # for whoever wants the prompt, before anything begins
_BLINKS = const(6)


def start(run, path: str = CONFIG) -> None:
    """run: main() of main.py, which returns an exit code. Returns where the prompt is to be free; else resets."""
    keystore = Keystore()
    button, led = _wired(path)
    count = 0 if machine.reset_cause() == machine.PWRON_RESET else keystore.starts()
    if _held(button) or count >= _TOO_OFTEN:
        keystore.put_starts(0)  # the next reset is another chance
        why = "the node has failed %d times in a row" % count if count >= _TOO_OFTEN else "the button is held"
        sys.stdout.write("safe mode: %s; machine.reset() starts it again\n" % why)
        _blink(led, "safe mode")
        return  # boot.py has seen to the watchdog
    keystore.put_starts(count + 1)
    code = _run(run, path, keystore)
    if code in (0, 2):
        guard_prompt()
        keystore.put_starts(0)
        _blink(led, "unusable" if code else "safe mode")
    else:
        machine.reset()


def _run(run, path: str, keystore: Keystore) -> int:
    """The exit code of the node, as main() has them; 1 for one that broke."""
    try:
        time.sleep_ms(WINDOW_MS)
        try:
            hide(path, keystore)
        except OSError as error:  # no room on the flash: the keys stay where they are
            sys.stdout.write("%s: its keys stay in it: errno %d\n" % (path, error.errno))
        return run([path])
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        sys.print_exception(error)
        return 1


def _wired(path: str) -> tuple:
    """(GPIO of the button, of the LED or None), by the configuration as far as it can be read, else the chip's."""
    try:
        with open(path) as file:
            document = json.load(file)
        button, led = [document.get(key) for key in ("button", "led")]
    except (OSError, ValueError, AttributeError):  # main() says what is wrong with it
        button = led = None
    usual = chip_of(sys.implementation._machine).button
    return (button if type(button) is int else usual), (led if type(led) is int else None)


def _held(pin: int) -> bool:
    """A button to ground, as the one marked BOOT is."""
    try:
        return machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP).value() == 0
    except ValueError:  # this chip has no such pin
        return False


def _blink(pin, what: str) -> None:
    if pin is None:
        return
    led = machine.Pin(pin, machine.Pin.OUT, value=0)
    for _ in range(_BLINKS):
        for at, wait in enumerate(PATTERNS[what]):
            led.value(1 - at % 2)
            time.sleep_ms(wait)
