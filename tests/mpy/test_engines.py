"""The mobile node engine inside the real MicroPython: recorded lives are lived again, the same octet for octet.

CPython's engine lives in the world of virtual time, where everything it hears and answers is written down.
"""

import json
from pathlib import Path

import pytest

from mobile_node.mobile_node import MobileNode
from tests.helpers import node_station
from tests.helpers.builders import PC1, PC2
from tests.helpers.storm import Storm
from tests.helpers.world import World
from tests.mpy.replay_node import answer, plain

SCRIPT = Path(__file__).parent / "replay_node.py"
INPUTS = {"start", "link_up", "link_down", "heard", "receive", "downlink_up", "downlink_down", "dhcp", "wake",
          "address", "tunnelled", "no_tunnel"}  # fmt: skip
DISCOVER, REQUEST, RELEASE = 1, 3, 7


class Recorded:
    """A mobile node engine that writes down what it is told and what it answers."""

    def __init__(self, lives, config, ntp_ms, seed, remembered):
        inputs, self._answers = [], []
        lives.append(({**_life(config, ntp_ms, seed, remembered), "inputs": inputs}, self._answers))
        self._inputs = inputs
        self._node = MobileNode(config, ntp_ms, seed, remembered)

    def __getattr__(self, name):
        found = getattr(self._node, name)
        return (lambda *arguments: self._note(name, list(arguments))) if name in INPUTS else found

    def _note(self, method, arguments):
        effects = getattr(self._node, method)(*arguments)
        self._inputs.append([method, plain(arguments)])
        self._answers.append(answer(self._node, effects, arguments[-1]))
        return effects


def _life(config, ntp_ms, seed, remembered):
    octets = {key: plain(value) if isinstance(value, bytes) else value for key, value in config.items()}
    if config["aaa"] is not None:
        octets["aaa"] = {**config["aaa"], "key": plain(config["aaa"]["key"])}
    return {"config": octets, "ntp_ms": ntp_ms, "seed": plain(seed), "remembered": [list(one) for one in remembered]}


@pytest.fixture
def lives(monkeypatch):
    """(life, answers) of every node that is switched on."""
    found = []
    monkeypatch.setattr(node_station, "MobileNode", lambda *arguments: Recorded(found, *arguments))
    return found


def _lived_again(on_micropython, tmp_path, lives):
    record = tmp_path / "lives.json"
    record.write_text(json.dumps([life for life, _ in lives]))
    return [json.loads(line) for line in on_micropython(SCRIPT, record).splitlines()]


def _answers(lives):
    return [json.loads(line) for _, answers in lives for line in answers]


def test_one_whole_conversation_is_the_same_on_micropython(on_micropython, tmp_path, lives):
    world = World()
    node = world.add_node(names={"02:00:00:00:00:11": "pc1"}, applications=["telemetry"], ntp_ms=0)
    world.pass_time(seconds=3)
    for link_address in (PC1, PC2):
        node.device(DISCOVER, link_address, host_name="laptop")
        world.pass_time(seconds=1)
        node.device(REQUEST, link_address, asked=node.address_of_device(link_address), server=node.gateway)
    world.lose_next("ha", "fa2")
    node.move("fa2")
    world.pass_time(seconds=400)
    node.run(node.engine.receive(b"\x03\x85", 1, node.now))
    node.device(RELEASE, PC1, client_address=node.address_of_device(PC1))
    world.pass_time(seconds=10)
    node.boot()
    world.pass_time(seconds=10)
    node.move(None)
    node.run(node.engine.downlink_down("down0", node.now))
    world.pass_time(seconds=10)
    node.run(node.engine.downlink_up("down0", node.now))

    again = _lived_again(on_micropython, tmp_path, lives)

    assert again == _answers(lives)
    kinds = {effect[0] for effects, _, _ in again for effect in effects}
    expected = {"Solicit", "Send", "UseAgent", "Attach", "Detach", "AnswerDhcp", "Remember", "Said", "Dropped"}
    assert kinds == expected  # a conversation without them would prove little


def test_a_life_from_an_address_of_its_own_is_the_same_without_a_tunnel_too(on_micropython, tmp_path, lives):
    world = World()
    node = world.add_node(at="nat", applications=["telemetry"])
    world.pass_time(seconds=100)
    node.makes_tunnels = False
    node.move("cafe")
    world.pass_time(seconds=25)
    node.makes_tunnels = True
    world.pass_time(seconds=100)
    assert {state for state, _ in node.sessions().values()} == {"registered"}

    assert _lived_again(on_micropython, tmp_path, lives) == _answers(lives)


STORMS = [(5944, "timestamps", False), (2794, "nonces", False), (4064, "timestamps", True), (4721, "nonces", True)]


@pytest.mark.parametrize(("seed", "replay", "challenge"), STORMS)
def test_a_storm_is_the_same_on_micropython(on_micropython, tmp_path, lives, seed, replay, challenge):
    print(f"seed {seed}")
    storm = Storm(seed, replay, challenge)
    storm.rage()
    storm.calm()

    again = _lived_again(on_micropython, tmp_path, lives)

    assert len(again) > 300
    assert again == _answers(lives)
