"""On a board: runs before main.py, and before a prompt that main.py is kept from."""

import os
import sys

if "main.py" not in os.listdir("/"):  # it is away while the other files are replaced (tools/board/files.py)
    sys.stdout.write("the firmware is not whole: entourage board deploy\n")

if sys.platform == "esp32":
    from port_esp32.health import guard_prompt

    guard_prompt()
