"""Storms with refusals, releases, and a stranger who repeats what he hears: in the end all agree, nobody was fooled."""

import os

import pytest

from tests.helpers.wild_storm import WildStorm

EACH = int(os.environ.get("STORMS_EACH", "5"))


@pytest.mark.parametrize("block", range(4))
def test_after_a_wild_storm_node_home_agent_and_foreign_agent_agree_about_every_session(block):
    for seed in range(block * EACH, (block + 1) * EACH):
        print(f"seed {seed}")
        storm = WildStorm(seed)
        storm.rage()

        storm.calm()

        home_agent = storm.world.home_agent
        bindings = home_agent.bindings_by_session()
        for node, name in storm.wanted():
            session = node.config["nai"], name
            state, address = node.sessions()[name]
            if node.at == "home":
                assert (state, session in bindings) == ("home", False) or not node.attached, f"seed {seed}: {session}"
                continue
            assert state == "registered", f"seed {seed}: {session} is {state} at {node.at}"
            assert bindings[session] == (address, storm.where(node)), f"seed {seed}: {session}"
            if node.at in storm.world.foreign_agents:
                home_address = home_agent.engine.bindings.find(session).home_address
                visitor = storm.world.foreign_agents[node.at].engine.visitors.find(home_address)
                assert (visitor.nai, visitor.sub_nai, visitor.link_address) == (*session, node.link_address)
        for station in storm.world.foreign_agents.values():
            station.visitors()
        assert [station.engine._open for station in storm.stations()] == [{}, {}, {}]
