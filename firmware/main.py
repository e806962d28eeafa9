"""Starts the mobile node: `micropython main.py CONFIG.json`, or from /config.json on a board.

Exit codes: 0 ended by SIGINT, 1 the machine refused, 2 usage or configuration. MicroPython cannot catch SIGTERM: it
ends the node at once, which loses nothing, since a restart finds and sweeps what stands in the kernel.
"""

import asyncio
import sys

if sys.implementation.name != "micropython":  # whose asyncio is another one
    sys.stderr.write("main.py is run by MicroPython: micropython main.py CONFIG.json\n")
    sys.exit(2)

from mip4.address import show
from mobile_node.mobile_node import MobileNode
from runtime.config import read
from runtime.errors import ConfigurationError, KernelRefused
from runtime.log import Log
from runtime.runtime import Runtime


def _platform():
    """The port to this platform. Raises ConfigurationError where there is none."""
    if sys.platform == "linux":
        from port_unix import port
    elif sys.platform == "esp32":
        from port_esp32 import port
    else:
        raise ConfigurationError("main.py: platform: there is no port to %s" % sys.platform)
    return port


def main(arguments: list) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: micropython main.py CONFIG.json\n")
        return 2
    try:
        platform = _platform()
        config = read(arguments[0], platform)
        _run(platform, config)
    except ConfigurationError as error:
        sys.stderr.write("%s\n" % error)
        return 2
    except KernelRefused as error:
        sys.stderr.write("%s\n" % error)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("ended by SIGINT\n")
    return 0


def _run(platform, config: dict) -> None:
    """For ever. Raises ConfigurationError for what this machine cannot carry, and KernelRefused."""
    clock = platform.Clock()
    log = Log(clock.now)
    port = platform.Port(config, log)
    ntp_ms = clock.ntp_ms() if config["clock"] == "system" else 0
    log.info("started nai=%s home_agent=%s %s" % (config["nai"], show(config["home_agent"]), sys.version))
    node = MobileNode(config, ntp_ms, platform.seed(), port.remembered())
    recorder = None
    if config["recorder"] is not None:
        from runtime.flight_recorder import FlightRecorder  # only then: a board has little room

        instruments = platform.Instruments(config, port.delivered, clock, log)
        recorder = FlightRecorder(config["recorder"], config["nai"], config["sub_nai_vendor"], instruments, clock, log)
        if config["recorder"]["on"]:
            recorder.begin()
    asyncio.run(Runtime(node, port, clock, log, recorder).run())


if __name__ == "__main__":
    if sys.platform == "esp32":
        from port_esp32.start import start

        start(main)  # and no sys.exit(): on a board that would be a soft reset, which starts us again, for ever
    else:
        sys.exit(main(sys.argv[1:]))
