"""On a board: runs before main.py, and before a prompt that main.py is kept from."""

import sys

if sys.platform == "esp32":
    from port_esp32.health import guard_prompt

    guard_prompt()
