"""What the agents' files say about replay protection and about AAA servers."""

from pathlib import Path

import pytest

from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.foreign_agent_config import load_foreign_agent
from host_agents.runtime.home_agent_config import load_home_agent

HOME_AGENT = """
[home_agent]
address = "192.0.2.1"
[[network]]
prefix = "10.10.0.0/24"
pool = ["10.10.0.10-10.10.0.250"]
gateway = "10.10.0.1"
"""
FIRST = """
[[subscriber]]
nai = "kleung@example.net"
spi = 256
key = "text:secret"
"""
SECOND = FIRST.replace("256", "257")


def _file(folder: Path, *parts: str) -> Path:
    path = folder / "agent.toml"
    path.write_text("".join(parts))
    path.chmod(0o600)
    return path


def _subscriber(folder: Path, *parts: str):
    (subscriber,) = load_home_agent(_file(folder, HOME_AGENT, *parts)).policy.subscribers.values()
    return subscriber


def _refusal(folder: Path, *parts: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_home_agent(_file(folder, HOME_AGENT, *parts))
    return str(caught.value).partition("agent.toml: ")[2]


def test_timestamps_are_used_unless_nonces_are_asked_for(tmp_path):
    assert not _subscriber(tmp_path, FIRST).nonces
    assert not _subscriber(tmp_path, FIRST, 'replay = "timestamps"\n').nonces
    assert _subscriber(tmp_path, FIRST, 'replay = "nonces"\n').nonces
    assert _refusal(tmp_path, FIRST, 'replay = "none"\n') == "subscriber[0].replay: none is none of timestamps, nonces"


def test_all_spis_of_one_nai_have_one_style(tmp_path):
    assert _subscriber(tmp_path, FIRST, 'replay = "nonces"\n', SECOND).nonces
    assert _subscriber(tmp_path, FIRST, 'replay = "nonces"\n', SECOND, 'replay = "nonces"\n').nonces
    assert _refusal(tmp_path, FIRST, 'replay = "nonces"\n', SECOND, 'replay = "timestamps"\n') == (
        "subscriber[1].replay: kleung@example.net has nonces already"
    )
    assert _refusal(tmp_path, FIRST, SECOND, 'replay = "nonces"\n') == (
        "subscriber[1].replay: kleung@example.net has timestamps already"
    )


def test_a_subscriber_may_have_keys_for_a_aaa_server_one_with_each_spi(tmp_path):
    subscriber = _subscriber(
        tmp_path,
        FIRST,
        'aaa = { spi = 2, key = "text:for the server" }\n',
        SECOND,
        'aaa = { spi = 1024, key = "text:for the server", algorithm = "hmac-sha256" }\n',
    )

    assert {spi: one.algorithm for spi, one in subscriber.aaa.items()} == {2: "chap", 1024: "hmac-sha256"}
    assert _subscriber(tmp_path, FIRST).aaa == {}


@pytest.mark.parametrize(
    ("aaa", "complaint"),
    [
        ('{ spi = 3, key = "text:secret" }', "subscriber[0].aaa: SPI 3 is outside 256..4294967295"),
        ('{ spi = 2, key = "secret" }', "subscriber[0].aaa.key: key: neither hex: nor text:"),
        ('{ spi = 2, key = "text:" }', "subscriber[0].aaa: empty key for SPI 2"),
        (
            '{ spi = 2, key = "text:secret", algorithm = "hmac-sha1" }',
            "subscriber[0].aaa: SPI 2 is that of chap, not of hmac-sha1",
        ),
        ("{ spi = 2 }", "subscriber[0].aaa.key: is missing"),
    ],
)
def test_a_key_for_a_aaa_server_that_cannot_be_one_is_refused(tmp_path, aaa, complaint):
    assert _refusal(tmp_path, FIRST, f"aaa = {aaa}\n") == complaint


def test_one_spi_of_a_aaa_server_means_one_key(tmp_path):
    aaa = 'aaa = { spi = 2, key = "text:secret" }\n'

    assert _refusal(tmp_path, FIRST, aaa, SECOND, aaa) == "subscriber[1].aaa.spi: [2] twice for kleung@example.net"


def test_the_file_is_not_to_be_read_by_others_if_it_holds_a_key_for_a_aaa_server(tmp_path):
    (tmp_path / "key").write_text("text:secret")
    (tmp_path / "key").chmod(0o600)
    path = _file(
        tmp_path, HOME_AGENT, FIRST.replace("text:secret", "file:key"), 'aaa = { spi = 2, key = "text:secret" }\n'
    )
    path.chmod(0o644)

    assert load_home_agent(path).common.warnings == (f"{path} holds keys and is open to others: chmod 600 it",)


# ---- of a foreign agent

FOREIGN_AGENT = '[foreign_agent]\ncare_of_address = "203.0.113.2"\ninterfaces = ["vis0"]\n'
AAA = '[[aaa]]\nnai = "kleung@example.net"\nspi = 2\nkey = "text:for the server"\n'


def test_a_foreign_agent_challenges_where_the_operator_says_so(tmp_path):
    assert not load_foreign_agent(_file(tmp_path, FOREIGN_AGENT)).policy.challenge
    assert load_foreign_agent(_file(tmp_path, FOREIGN_AGENT, "challenge = true\n")).policy.challenge


def test_it_may_have_keys_of_aaa_servers(tmp_path):
    config = load_foreign_agent(
        _file(tmp_path, FOREIGN_AGENT, "challenge = true\n", AAA, AAA.replace("spi = 2", "spi = 1024"))
    )

    found = config.policy.aaa["kleung@example.net"]
    assert {spi: one.algorithm for spi, one in found.items()} == {2: "chap", 1024: "hmac-md5"}


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([AAA], "aaa: nobody answers a challenge without foreign_agent.challenge"),
        (["challenge = true\n", AAA, AAA], "aaa[1].spi: 2 twice for kleung@example.net"),
        (["challenge = true\n", AAA.replace("= 2", "= 9")], "aaa[0]: SPI 9 is outside 256..4294967295"),
        (["challenge = true\n", AAA.replace("@", " ")], "aaa[0].nai: "),
        (['challenge = "yes"\n'], "foreign_agent.challenge: Expected `bool`, got `str`"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, parts, complaint):
    with pytest.raises(ConfigurationError) as caught:
        load_foreign_agent(_file(tmp_path, FOREIGN_AGENT, *parts))

    assert str(caught.value).partition("agent.toml: ")[2].startswith(complaint)
