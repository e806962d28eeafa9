# What is frozen into the image: what MicroPython freezes for any ESP32, and the node.
include("$(PORT_DIR)/boards/manifest.py")
include("$(BOARD_DIR)/../../firmware/manifest.py")
