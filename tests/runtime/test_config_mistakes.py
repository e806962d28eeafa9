"""An operator learns of every mistake in a file at once, each as `file: key: reason`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.foreign_agent_config import load_foreign_agent
from host_agents.runtime.home_agent_config import load_home_agent
from host_agents.runtime.remains import read_remains

HOME_AGENT = """
[home_agent]
address = "192.0.2.256"
port = "many"
lifetime = 0
colour = "red"
sub_nai_vender = 7
"reverse.tunnel" = true
http = "127.0.0.1"
log = "xml"

[[network]]
prefix = "10.10.0.0/33"
pool = ["10.10.0.10-10.10.0.250"]
gateway = "10.10.0.1"

[[network]]
prefix = "10.11.0.0/24"
pool = ["10.12.0.1", 5]
dns = ["224.0.0.1"]
advertise_interval = nan

[[subscriber]]
nai = "kleung@example.net"
spi = 12
key = "hex:xyz"

[[subscriber]]
nai = "two words@"
key = "text:secret"
sessions = "eight"
addresses = { "printer" = 7 }
aaa = { spi = 256, key = "text:secret", algoritm = "hmac-md5" }

[[foreign_agent]]
address = "203.0.113.2"
spi = 512
key = "file:nowhere.key"
"""
FOREIGN_AGENT = """
[foreign_agent]
care_of_address = "0.0.0.0"
advertise_interval = inf
control = "/run/a-folder-of-a-name-that-is-so-very-long/and-another-one-below-it-that-is-not-much-shorter/than-/fa.sock"
sub_nai_from_link = true

[[mobile_node]]
nai = "kleung@example.net"
spi = 256
"""


def _complaints(load: Callable[[Path], object], path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def _keys(complaints: list[str]) -> set[str]:
    return {one.partition(": ")[0] for one in complaints}


def test_every_mistake_of_a_home_agents_file_is_told_in_one_pass(tmp_path: Path) -> None:
    path = tmp_path / "ha.toml"
    path.write_text(HOME_AGENT)

    complaints = _complaints(load_home_agent, path)

    assert "home_agent.colour: there is no such key" in complaints
    assert "home_agent.sub_nai_vender: there is no such key: is sub_nai_vendor meant?" in complaints
    assert "home_agent.reverse.tunnel: there is no such key: is reverse_tunnel meant?" in complaints
    assert "subscriber[1].aaa.algoritm: there is no such key: is algorithm meant?" in complaints
    assert "home_agent.port: Expected `int`, got `str`" in complaints
    assert "network[1].gateway: is missing" in complaints
    assert "subscriber[1].spi: is missing" in complaints
    assert _keys(complaints) == {
        *("home_agent.address", "home_agent.port", "home_agent.lifetime", "home_agent.http", "home_agent.log"),
        *("home_agent.colour", "home_agent.sub_nai_vender", "home_agent.reverse.tunnel"),
        *("network[0].prefix", "network[1].gateway", "network[1].pool[1]", "network[1].pool", "network[1].dns"),
        *("network[1].advertise_interval", "subscriber[0]", "subscriber[0].key"),
        *("subscriber[1].nai", "subscriber[1].spi", "subscriber[1].sessions", "subscriber[1].addresses[...]"),
        *("subscriber[1].aaa.algoritm", "foreign_agent[0].key"),
    }


def test_every_mistake_of_a_foreign_agents_file_is_told_in_one_pass(tmp_path: Path) -> None:
    path = tmp_path / "fa.toml"
    path.write_text(FOREIGN_AGENT)

    complaints = _complaints(load_foreign_agent, path)

    assert _keys(complaints) == {
        *("foreign_agent.care_of_address", "foreign_agent.interfaces", "foreign_agent.advertise_interval"),
        *("foreign_agent.sub_nai_from_link", "foreign_agent.control", "mobile_node[0].key"),
    }


def test_a_file_without_its_section_is_one_complaint(tmp_path: Path) -> None:
    path = tmp_path / "ha.toml"
    path.write_text("")

    assert _complaints(load_home_agent, path) == [
        "home_agent: is missing",
        "network: is missing",
    ]


def test_every_mistake_about_radius_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ha.toml"
    path.write_text(
        '[home_agent]\naddress = "192.0.2.1"\n[[network]]\nprefix = "10.10.0.0/24"\n'
        'pool = ["10.10.0.10-10.10.0.250"]\ngateway = "10.10.0.1"\n'
        '[radius]\nsecret = "text:secret"\naccounting = "192.168.1.5:many"\ndisconnect = "here"\ninterim = 5\n'
    )

    assert _complaints(load_home_agent, path) == [
        "radius.accounting: many is no port",
        "radius.disconnect: not an IPv4 address: here",
        "radius.interim: neither 0 nor 60..86400 seconds",
    ]
    path.write_text(path.read_text().partition("accounting")[0])
    assert _complaints(load_home_agent, path) == ["radius: neither server nor accounting is named"]


@pytest.mark.parametrize(
    ("load", "text", "own", "other"),
    [
        (load_foreign_agent, HOME_AGENT, "foreign_agent", "home_agent"),
        (load_home_agent, FOREIGN_AGENT, "home_agent", "foreign_agent"),
    ],
)
@pytest.mark.parametrize("what", ["run", "withdrawn"])
def test_the_other_agents_file_is_known_for_what_it_is(
    tmp_path: Path, load: Callable[[Path], object], text: str, own: str, other: str, what: str
) -> None:
    """Nothing is taken out of the kernel by it, either."""
    path = tmp_path / "file"
    path.write_text(text)

    with pytest.raises(ConfigurationError) as refused:
        load(path) if what == "run" else read_remains(path, home=own == "home_agent")

    assert str(refused.value) == f"{path}: has no [{own}], but a [{other}]: it is the other agent's file"
