"""What this board can carry (the table of boards/README.md); what it cannot is refused, with the reason.

An address that carries no packets is worse than none: a session that cannot be served is never registered.
"""

from port_esp32.chip import Chip
from runtime.errors import ConfigurationError

_SURE_MTU = 1280
_NOT_WIFI = "this image does not forward; our own (boards/ENTOURAGE_*) does, at a foreign agent"
_NOT_CO_LOCATED = 'the board forwards in C only what a foreign agent takes out of its tunnel ("mode": "foreign-agent")'
_NOT_HERE = 'packets for it would have to come through a tunnel of the board\'s own ("mode": "co-located")'


def settle(config: dict, chip: Chip) -> list:
    """Choose the mode where it is open, take out of `config` what cannot be carried, and say why: a line for each.

    Marks every downlink with "carried". Raises ConfigurationError where nothing would be left that is worth starting.
    """
    _check_chip(config, chip)
    if not chip.ours:
        # lwIP there puts no fragments together, so none may come about on the way: 1280 octets pass nearly everywhere
        config["link_mtu"] = min(config["link_mtu"], _SURE_MTU)
    radio = [one for one in config["downlinks"] if one["kind"] == "wifi-ap"]
    serial = [one for one in config["downlinks"] if one["kind"] == "slip"]
    if config["mode"] == "auto":
        config["mode"] = "foreign-agent" if chip.ours and radio else "co-located"
    by_agent = config["mode"] == "foreign-agent"
    if by_agent and not (chip.ours and radio):
        why = "there is no wifi-ap downlink" if chip.ours else _NOT_WIFI
        raise ConfigurationError("mode: at a foreign agent's care-of address nothing could be carried: %s" % why)
    if by_agent and config["delivery"] == "encapsulating":
        raise ConfigurationError("delivery: what lwIP forwards goes to the agent as it is, not inside another packet")
    refused = []
    for one in radio:
        one["carried"] = by_agent
        if not by_agent:
            refused.append("devices on %s are refused: %s" % (one["name"], _NOT_CO_LOCATED if chip.ours else _NOT_WIFI))
    for one in serial:
        one["carried"] = not by_agent
    if by_agent:
        refused += ["a device on %s is refused: %s" % (one["name"], _NOT_HERE) for one in serial]
        refused += ["application %s is refused: %s" % (one, _NOT_HERE) for one in config["applications"]]
        if config["own_session"] is not None:
            refused.append("the node's own session is refused: %s" % _NOT_HERE)
        config["applications"], config["own_session"] = [], None
    elif config["own_session"] is None and not config["applications"] and not serial:
        raise ConfigurationError("own_session: none, and neither applications nor a slip downlink: nothing to carry")
    return refused


def _check_chip(config: dict, chip: Chip) -> None:
    for at, one in enumerate(config["downlinks"]):
        if one["stations"] is None:
            one["stations"] = min(8, chip.stations)
        elif one["stations"] > chip.stations:
            reason = "the access point of an %s takes %d" % (chip.name, chip.stations)
            raise ConfigurationError("downlinks[%d].stations: %s" % (at, reason))
        if one["port"] == "usb" and not chip.usb:
            raise ConfigurationError("downlinks[%d].port: USB is the prompt of an %s: uart" % (at, chip.name))
    if config["recorder"] is not None and config["recorder"]["gps"]:
        from port_esp32.gps import settle_port  # only then: a board has little room

        settle_port(config, chip)
