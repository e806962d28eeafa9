"""Which tunnel a home agent makes of a request: its encapsulation, and whether broadcasts go into it (HA-22, B)."""

import pytest

from host_agents.effects import TunnelEnd
from mip4.address import parse
from mip4.const import FLAG_B, FLAG_D, FLAG_G, FLAG_M, FLAG_T
from mip4.extensions import GreKey, UdpTunnelRequest
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, NTP_2026
from tests.helpers.messages import octets_of

FA1, CO_LOCATED = FOREIGN_AGENTS["fa1"], parse("198.51.100.77")


def _ends(agent):
    (installed,) = agent.installed.values()
    return installed.ends


@pytest.mark.parametrize("flags, kind", [(0, "ipip"), (FLAG_G, "gre"), (FLAG_M, "minimal"), (FLAG_G | FLAG_M, "gre")])
def test_ha_22_the_tunnel_is_of_the_kind_that_was_asked_for_after_a_restart_too(flags, kind):
    agent = HomeAgentAlone()
    agent.ask("pc1", flags=flags)
    before = _ends(agent)

    agent.start(NTP_2026)

    assert before == _ends(agent) == (TunnelEnd(FA1, kind),)


@pytest.mark.parametrize("offered, flags, code", [(("gre",), FLAG_M, 139), (("minimal",), FLAG_G | FLAG_M, 139)])
def test_ha_22_only_what_the_operator_allows(offered, flags, code):
    agent = HomeAgentAlone(encapsulations=offered)

    assert agent.ask("pc1", flags=flags).code == code
    assert agent.installed == {}


def test_a_renewal_that_asks_for_another_encapsulation_gets_it():
    agent = HomeAgentAlone()
    agent.ask("pc1", flags=FLAG_G)

    agent.ask("pc1")

    assert _ends(agent) == (TunnelEnd(FA1, "ipip"),)
    assert agent.world.said[-1][1].startswith("rebound ")


def test_ha_22_who_gives_a_tunnel_up_is_not_asked_what_kind_it_was():
    agent = HomeAgentAlone(encapsulations=())
    agent.ask("pc1")

    assert agent.ask("pc1", flags=FLAG_G, lifetime=0, after=octets_of(GreKey(7))).code == 0
    assert agent.bindings() == {}


@pytest.mark.parametrize(
    "flags, source, end",
    [
        (FLAG_B, FA1, TunnelEnd(FA1, "ipip", broadcast=True)),
        (FLAG_B | FLAG_D | FLAG_G, CO_LOCATED, TunnelEnd(CO_LOCATED, "gre", broadcast=True, co_located=True)),
        (FLAG_D, CO_LOCATED, TunnelEnd(CO_LOCATED, "ipip", co_located=True)),
    ],
)
def test_broadcasts_go_to_who_asks_for_them_and_the_data_path_knows_who_unwraps(flags, source, end):
    agent = HomeAgentAlone()

    agent.ask("pc1", flags=flags, care_of_address=source, source=source)

    assert _ends(agent) == (end,)


def test_what_travels_in_udp_is_not_asked_about_m_and_g():
    agent = HomeAgentAlone(encapsulations=())
    wish = UdpTunnelRequest(True, False, 4)

    agent.ask("pc1", flags=FLAG_D | FLAG_T | FLAG_G, care_of_address=CO_LOCATED, source=CO_LOCATED, before=[wish])

    assert [end.encapsulation for end in _ends(agent)] == ["udp"]
