"""What the agents' files say about addressing: sub-NAIs from link addresses, home agents that are assigned."""

from pathlib import Path

import pytest

from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.foreign_agent_config import load_foreign_agent
from host_agents.runtime.home_agent_config import load_home_agent
from mip4.address import parse

FOREIGN_AGENT = '[foreign_agent]\ncare_of_address = "203.0.113.2"\ninterfaces = ["vis0"]\n'
PEER = '[[home_agent]]\naddress = "192.0.2.1"\nspi = 512\nkey = "text:secret"\n'
HOME_AGENT = '[home_agent]\naddress = "192.0.2.1"\n'
NETWORK = '[[network]]\nprefix = "10.10.0.0/24"\npool = ["10.10.0.10-10.10.0.250"]\ngateway = "10.10.0.1"\n'


def _file(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_sub_nai_from_the_link_needs_a_home_agent_that_can_believe_it(tmp_path):
    wanted = FOREIGN_AGENT + "sub_nai_from_link = true\n"

    assert load_foreign_agent(_file(tmp_path, wanted + PEER)).policy.sub_nai_from_link
    with pytest.raises(ConfigurationError, match=r"foreign_agent\.sub_nai_from_link: .*\[\[home_agent\]\] is missing"):
        load_foreign_agent(_file(tmp_path, wanted))


def test_a_foreign_agent_may_choose_a_home_agent(tmp_path):
    config = load_foreign_agent(_file(tmp_path, FOREIGN_AGENT + 'home_agent_default = "192.0.2.9"\n'))

    assert config.policy.home_agent_default == parse("192.0.2.9")
    assert load_foreign_agent(_file(tmp_path, FOREIGN_AGENT)).policy.home_agent_default == 0
    with pytest.raises(ConfigurationError, match=r"foreign_agent\.home_agent_default"):
        load_foreign_agent(_file(tmp_path, FOREIGN_AGENT + 'home_agent_default = "224.0.0.5"\n'))


def test_a_home_agent_may_send_nodes_to_another_one_and_not_to_itself(tmp_path):
    config = load_home_agent(_file(tmp_path, HOME_AGENT + 'redirect = "192.0.2.9"\n' + NETWORK))

    assert config.policy.redirect == parse("192.0.2.9")
    with pytest.raises(ConfigurationError, match=r"home_agent\.redirect: that is this home agent itself"):
        load_home_agent(_file(tmp_path, HOME_AGENT + 'redirect = "192.0.2.1"\n' + NETWORK))


@pytest.mark.parametrize(
    ("load", "text", "name"),
    [
        (load_foreign_agent, FOREIGN_AGENT + "{}", "foreign_agent"),
        (load_home_agent, HOME_AGENT + "{}" + NETWORK, "home_agent"),
    ],
    ids=["foreign agent", "home agent"],
)
def test_reverse_tunnels_may_be_mandatory_where_there_are_any(tmp_path, load, text, name):
    config = load(_file(tmp_path, text.format("reverse_tunnel_required = true\n")))

    assert config.policy.reverse_tunnel_required
    with pytest.raises(ConfigurationError, match=rf"{name}\.reverse_tunnel_required: there are none"):
        load(_file(tmp_path, text.format("reverse_tunnel = false\nreverse_tunnel_required = true\n")))
