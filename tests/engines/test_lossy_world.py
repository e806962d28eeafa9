"""Storms: datagrams lost, doubled, late and overtaking each other; moves, reboots, devices that come and go.

Whatever happens, no address is two sessions', nothing leaks, and no session asks one agent twice within a second; and
soon after the storm everybody is registered.
"""

import pytest

from mip4.address import parse
from tests.helpers.storm import Storm

STORMS = [(block, "timestamps", False) for block in range(20)]
STORMS += [(block, replay, True) for replay in ("timestamps", "nonces") for block in range(5)]
STORMS += [(block, "nonces", False) for block in range(5)]


@pytest.mark.parametrize(("block", "replay", "challenge"), STORMS)
def test_after_a_storm_everybody_is_registered_and_nobody_was_asked_too_often(block, replay, challenge):
    for seed in range(block * 10, block * 10 + 10):
        print(f"seed {seed}")
        storm = Storm(seed, replay, challenge)
        storm.rage()

        storm.calm()

        bindings = storm.world.home_agent.bindings_by_session()
        for node in storm.nodes:
            nai = node.config["nai"]
            sessions = node.sessions()
            wanted = {"", "telemetry"} | {node.sub_nai_of(one) for one in storm.present if storm.node_of(one) is node}
            for name in wanted:
                state, address = sessions[name]
                assert state == "registered", f"seed {seed}: {nai} {name!r} is {state}"
                assert bindings[nai, name] == (address, storm.world.care_of(node)), f"seed {seed}: {nai} {name!r}"
                assert parse(address) in node.attached
        for station in storm.world.foreign_agents.values():
            station.visitors()
        asked_at = {}
        for now, registration, care_of_address in storm.asked:
            before, through = asked_at.get(registration, (-1000, 0))
            assert now - before >= 1000 or through != care_of_address, f"seed {seed}: twice within a second at {now}"
            asked_at[registration] = (now, care_of_address)


@pytest.mark.parametrize("block", range(5))
def test_after_a_storm_everybody_at_home_has_his_address_and_no_binding(block):
    for seed in range(block * 10, block * 10 + 10):
        print(f"seed {seed}")
        storm = Storm(seed, places=("fa1", "fa2", "home", "home"))
        storm.rage()

        storm.calm()

        bindings = storm.world.home_agent.bindings_by_session()
        assert len({address for node in storm.nodes for address in node.attached}) == sum(
            len(node.attached) for node in storm.nodes
        )
        for node in storm.nodes:
            nai = node.config["nai"]
            sessions = node.sessions()
            for name in {"", "telemetry"} | {
                node.sub_nai_of(one) for one in storm.present if storm.node_of(one) is node
            }:
                state, address = sessions[name]
                if node.at != "home":
                    assert bindings[nai, name] == (address, storm.world.care_of(node)), f"seed {seed}: {nai} {name!r}"
                elif node.attached:
                    assert (state, (nai, name) in bindings) == ("home", False), f"seed {seed}: {nai} {name!r}"
                    assert parse(address) in node.attached
                else:  # it woke up there, and has no address to ask from
                    assert state == "registering"
