"""What a node wants besides a binding, and where it may be had: the flags S, B, M and G, and how packets are handed in.

Asked for only where it can be had (MN-02): of an agent what it advertises, and with a care-of address of our own what
our forwarder can unwrap. That is GRE. Minimal encapsulation is left to agents; so are broadcasts, which come from an
agent inside a packet that the kernel would have to unwrap (RFC 5944 §4.3), and are not asked for there.
"""

from mip4.address import show
from mip4.compat import const
from mip4.const import (
    ADVERT_G,
    ADVERT_M,
    ADVERT_T,
    FA_DELIVERY_STYLE,
    FA_ENCAPSULATION,
    FA_REVERSE_TUNNEL,
    FLAG_B,
    FLAG_G,
    FLAG_M,
    FLAG_S,
    HA_ENCAPSULATION,
    HA_REVERSE_TUNNEL,
)
from mip4.effects import Said
from mip4.extensions import EncapsulatingDelivery

_REMEMBERED = const(8)  # denials
_FLAGS = {"ipip": (0, 0), "gre": (FLAG_G, ADVERT_G), "minimal": (FLAG_M, ADVERT_M)}  # of a request, of an agent
_ENCAPSULATIONS = (FA_ENCAPSULATION, HA_ENCAPSULATION)
KINDS_OF_TUNNEL = _ENCAPSULATIONS + (FA_DELIVERY_STYLE,)  # denials of what is there only if it is asked for
STYLES = (FA_DELIVERY_STYLE, FA_REVERSE_TUNNEL, HA_REVERSE_TUNNEL)  # denials of a delivery style


class Wishes:
    """Of a whole node. config: see runtime/config.py. What was denied is not asked for again where it was."""

    def __init__(self, config: dict):
        self._encapsulation = config["encapsulation"]
        self._simultaneous = config["simultaneous"]
        self._broadcast = config["broadcast"]
        self._hands_in = config["delivery"] == "encapsulating" and config["reverse_tunnel"]
        self._hearer = None
        self._denied = []  # (wish, care-of address of the agent, 0: of the home agent)

    def flags(self, agent, registration) -> int:
        """What goes into the request that `registration` sends by way of `agent`."""
        flags = self._wanted_encapsulation(agent) | (FLAG_S if self._simultaneous else 0)
        return flags | (FLAG_B if self._hears(agent, registration) else 0)

    def care_of_address_to_leave(self, home_address: int) -> int:
        """What ends every one of the bindings of `home_address`, 0 where there is one alone (RFC 5944 §3.8.2.2)."""
        return home_address if self._simultaneous else 0

    def for_agent(self, agent) -> list:
        """Extensions behind the home agent's authenticator."""
        return [EncapsulatingDelivery()] if self.hands_in(agent) else []

    def hands_in(self, agent) -> bool:
        """Whether packets go to `agent` inside packets (RFC 3024 §5.2)."""
        if not self._hands_in or agent.co_located or not agent.flags & ADVERT_T:
            return False
        return ("delivery", agent.care_of_address) not in self._denied

    def denied(self, code: int, agent) -> list:
        """`agent`, or the home agent behind it, denied a request. What there is to say about that, once."""
        if code in STYLES and self.hands_in(agent):
            return self._without("delivery", agent.care_of_address, "encapsulating delivery: packets go as they are")
        if code in _ENCAPSULATIONS and self._wanted_encapsulation(agent):
            where = agent.care_of_address if code == FA_ENCAPSULATION else 0
            text = "%s encapsulation: packets travel in IP-in-IP" % self._encapsulation
            return self._without("encapsulation", where, text)
        return []

    def _without(self, wish: str, where: int, text: str) -> list:
        self._denied = self._denied[1 - _REMEMBERED :] + [(wish, where)]
        who = "agent %s" % show(where) if where else "the home agent"
        return [Said("warning", "%s has no %s" % (who, text))]

    def _wanted_encapsulation(self, agent) -> int:
        flag, advertised = _FLAGS[self._encapsulation]
        if ("encapsulation", 0) in self._denied or ("encapsulation", agent.care_of_address) in self._denied:
            return 0
        there = flag == FLAG_G if agent.co_located else agent.flags & advertised
        return flag if there else 0

    def _hears(self, agent, registration) -> bool:
        """Whether this is the session with which broadcasts come: with each that asks they would come once more."""
        if not self._broadcast or not agent.co_located:
            return False
        if self._hearer is None or not self._hearer.is_asked_for:
            self._hearer = registration
        return self._hearer is registration
