"""What the agents' files say about tunnels: encapsulations, delivery style, simultaneous bindings."""

import pytest

from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.foreign_agent_config import load_foreign_agent
from host_agents.runtime.home_agent_config import load_home_agent
from tests.runtime.test_addressing_config import FOREIGN_AGENT, HOME_AGENT, NETWORK, _file


def test_a_home_agent_has_them_all_unless_it_is_told_otherwise(tmp_path):
    told = HOME_AGENT + 'encapsulations = ["gre"]\nsimultaneous_bindings = 1\n'

    usual = load_home_agent(_file(tmp_path, HOME_AGENT + NETWORK)).policy
    other = load_home_agent(_file(tmp_path, told + NETWORK)).policy

    assert (usual.encapsulations, usual.simultaneous_bindings) == (("gre", "minimal"), 3)
    assert (other.encapsulations, other.simultaneous_bindings) == (("gre",), 1)


def test_a_foreign_agent_offers_ip_in_ip_and_both_delivery_styles_unless_it_is_told_otherwise(tmp_path):
    told = FOREIGN_AGENT + 'encapsulations = ["minimal", "gre"]\nencapsulating_delivery = false\n'

    usual = load_foreign_agent(_file(tmp_path, FOREIGN_AGENT)).policy
    other = load_foreign_agent(_file(tmp_path, told)).policy

    assert (usual.encapsulations, usual.encapsulating_delivery) == ((), True)
    assert (other.encapsulations, other.encapsulating_delivery) == (("minimal", "gre"), False)


@pytest.mark.parametrize(
    "load, text, complaint",
    [
        (load_home_agent, HOME_AGENT + 'encapsulations = ["ipip"]\n' + NETWORK, "home_agent.encapsulations: ipip is"),
        (load_home_agent, HOME_AGENT + 'encapsulations = "gre"\n' + NETWORK, "home_agent.encapsulations: Expected"),
        (load_home_agent, HOME_AGENT + "simultaneous_bindings = 0\n" + NETWORK, "simultaneous_bindings: outside 1..16"),
        (load_home_agent, HOME_AGENT + "simultaneous_bindings = 17\n" + NETWORK, "simultaneous_bindings: outside"),
        (load_foreign_agent, FOREIGN_AGENT + 'encapsulations = ["vxlan"]\n', "foreign_agent.encapsulations: vxlan is"),
    ],
)
def test_a_complaint_names_the_key(tmp_path, load, text, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        load(_file(tmp_path, text))
