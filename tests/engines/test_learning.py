"""Subscribers who are known elsewhere: the engine asks, and hears of them later."""

from __future__ import annotations

import pytest

from host_agents.effects import AskSubscriber
from mip4.address import parse
from mip4.effects import Dropped
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, NAI, SPI, a_subscriber
from tests.helpers.messages import a_request

FROM = (FOREIGN_AGENTS["fa1"], 434)
RESERVED = "10.10.0.77"


@pytest.fixture
def agent() -> HomeAgentAlone:
    return HomeAgentAlone(subscribers={}, asks=True)


def heard(agent: HomeAgentAlone, datagram: bytes) -> list[object]:
    return agent.engine.receive(datagram, *FROM, agent.now).effects


def test_of_a_stranger_it_asks_and_believes_nothing(agent):
    datagram = a_request()

    assert heard(agent, datagram) == [AskSubscriber(NAI, SPI, datagram, *FROM)]
    assert agent.bindings() == {}


def test_who_is_learnt_registers_with_the_same_request_and_has_its_address(agent):
    (asked,) = heard(agent, a_request())

    agent.engine.learn(a_subscriber(addresses={"": parse(RESERVED)}))
    reply = agent.take(asked.datagram, asked.source, asked.port)

    assert reply is not None
    assert agent.address_of() == RESERVED


@pytest.mark.parametrize("stranger", [{"nai": None}, {"nai": "not\tone"}, {"home": None}])
def test_who_says_no_name_that_can_be_one_or_signs_nothing_is_not_asked_for(agent, stranger):
    (effect,) = heard(agent, a_request(**stranger))

    assert isinstance(effect, Dropped)


def test_where_nobody_is_to_be_asked_a_stranger_is_dropped():
    agent = HomeAgentAlone(subscribers={})

    (effect,) = heard(agent, a_request())

    assert isinstance(effect, Dropped)
