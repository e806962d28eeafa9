"""Starts the mobile node: `micropython main.py CONFIG.json`, or from /config.json on a board.

Exit codes: 0 ended by SIGINT, 1 the machine refused, 2 usage or configuration. MicroPython cannot catch SIGTERM: it
ends the node at once, which loses nothing, since a restart finds and sweeps what stands in the kernel.
"""

import asyncio
import sys

from mip4.address import show
from mobile_node.mobile_node import MobileNode
from runtime.config import read
from runtime.errors import ConfigurationError, KernelRefused
from runtime.log import Log
from runtime.runtime import Runtime

_BOARD_CONFIG = "/config.json"


def _platform():
    """The port to this platform. Raises ConfigurationError where there is none."""
    if sys.platform == "linux":
        from port_unix import port

        return port
    raise ConfigurationError("main.py: platform: there is no port to %s yet" % sys.platform)


def main(arguments: list) -> int:
    if sys.platform == "linux" and len(arguments) != 1:
        sys.stderr.write("usage: micropython main.py CONFIG.json\n")
        return 2
    try:
        platform = _platform()
        config = read(arguments[0] if arguments else _BOARD_CONFIG, platform.UPLINK, platform.DOWNLINK)
    except ConfigurationError as error:
        sys.stderr.write("%s\n" % error)
        return 2
    clock = platform.Clock()
    log = Log(clock.now)
    try:
        _run(platform, config, clock, log)
    except KernelRefused as error:
        sys.stderr.write("%s\n" % error)
        return 1
    except KeyboardInterrupt:
        log.info("ended by SIGINT")
    return 0


def _run(platform, config: dict, clock, log: Log) -> None:
    port = platform.Port(config, log)
    ntp_ms = clock.ntp_ms() if config["clock"] == "system" else 0
    log.info("started nai=%s home_agent=%s %s" % (config["nai"], show(config["home_agent"]), sys.version))
    node = MobileNode(config, ntp_ms, platform.seed(), port.remembered())
    recorder = None
    if config["recorder"] is not None:
        from runtime.flight_recorder import FlightRecorder  # a board without one has none of it in its heap

        instruments = platform.Instruments(config, clock, log)
        recorder = FlightRecorder(config["recorder"], config["nai"], config["sub_nai_vendor"], instruments, clock, log)
        if config["recorder"]["on"]:
            recorder.begin()
    asyncio.run(Runtime(node, port, clock, log, recorder).run())


if __name__ == "__main__":
    _code = main(sys.argv[1:])
    if sys.platform == "linux":
        sys.exit(_code)  # on a board that would be a soft reset, which starts us again, for ever
