"""`entourage board provision`: a subscriber, a key that nobody saw, and a node that has it."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from host_agents.runtime.home_agent_config import load_home_agent
from mip4.address import parse, show
from mip4.authentication import SecurityAssociation, parse_key
from mip4.extensions import MobileHomeAuthentication
from tests.helpers.builders import a_home_agent_policy
from tools.board.stand_in import StandIn
from tools.lab.anchor import PROJECT

Typed = Callable[..., tuple[int, str, str]]

NAI = "kleung@example.net"
HA = """# Our home agent. Do not touch before Monday!
[home_agent]
address = "192.0.2.1"   # on the router

[[network]]
prefix = "10.10.0.0/24"
pool = ["10.10.0.10-10.10.0.250"]
gateway = "10.10.0.1"

[[subscriber]]
nai = "elder@example.net"
spi = 300
key = "file:elder.key"
"""
PASSWORD = "correct horse"


@pytest.fixture
def ha(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "elder.key").write_text("hex:00112233445566778899aabbccddeeff")
    (folder / "elder.key").chmod(0o600)
    path = folder / "ha.toml"
    path.write_text(HA)
    path.chmod(0o640)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "node.json"


@pytest.fixture
def provision(entourage_board: Typed, out: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """With one Wi-Fi, whose password stands on stdin, unless it is told otherwise; files only, unless a port is."""

    def run(*words: object, typed: str = PASSWORD + "\n") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        usual: list[object] = ["provision", NAI, "--out", out]
        if "--rekey" not in words and "--open-uplink" not in words:
            usual += ["--uplink", "Office"]
        return entourage_board(*usual, *([] if "--port" in words else ["--no-board"]), *words)

    return run


def key_of(out: Path) -> bytes:
    return bytes(parse_key(json.loads(out.read_text())["key"]))


def agree(ha: Path, out: Path) -> bool:
    """Whether what the node signs is what the home agent believes, under the SPI that it names."""
    node = json.loads(out.read_text())
    associations = load_home_agent(ha).policy.subscribers[NAI].associations
    signed = SecurityAssociation(node["spi"], key_of(out)).sign(b"message", MobileHomeAuthentication)
    return bool(associations[node["spi"]].sign(b"message", MobileHomeAuthentication) == signed)


def test_the_home_agent_believes_what_the_new_node_signs(provision: Typed, ha: Path, out: Path) -> None:
    code, _, err = provision("--ha", ha, "--access-point", "Entourage", "--sessions", 5)

    assert code == 0, err
    assert agree(ha, out)
    subscriber = load_home_agent(ha).policy.subscribers[NAI]
    assert subscriber.sessions == 5
    node = json.loads(out.read_text())
    assert node["home_agent"] == "192.0.2.1" == show(a_home_agent_policy().address)
    assert node["uplinks"] == [{"ssid": "Office", "password": PASSWORD, "priority": 1, "address": "dhcp"}]
    (access_point,) = node["downlinks"]
    assert (access_point["kind"], access_point["ssid"]) == ("wifi-ap", "Entourage")
    assert 8 <= len(access_point["password"]) <= 63


def test_what_was_in_the_file_stays_as_it_was(provision: Typed, ha: Path) -> None:
    provision("--ha", ha)

    assert ha.read_text().startswith(HA)
    assert stat.S_IMODE(ha.stat().st_mode) == 0o640
    assert sorted(path.name for path in ha.parent.iterdir()) == ["elder.key", "ha.toml", f"{NAI}.256.key"]


def test_keys_are_in_files_of_their_owner_only_and_shown_to_nobody(provision: Typed, ha: Path, out: Path) -> None:
    code, said, err = provision("--ha", ha, "--access-point", "Entourage")

    key_file = ha.parent / f"{NAI}.256.key"
    assert code == 0
    assert [stat.S_IMODE(path.stat().st_mode) for path in (out, key_file)] == [0o600, 0o600]
    secrets = [key_of(out).hex(), PASSWORD, json.loads(out.read_text())["downlinks"][0]["password"]]
    for secret in secrets:
        assert secret not in said + err
    assert len(key_of(out)) == 16
    assert key_of(out).hex() not in ha.read_text()


def test_two_nodes_never_share_a_key(provision: Typed, ha: Path, out: Path) -> None:
    provision("--ha", ha)
    first = key_of(out)
    out.unlink()

    provision("--home-agent", "192.0.2.1")

    assert key_of(out) != first


def test_a_link_to_the_file_stays_a_link(provision: Typed, ha: Path, out: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(ha)

    code, _, err = provision("--ha", link)

    assert code == 0, err
    assert link.is_symlink() and agree(ha, out)


def test_another_key_is_a_further_spi_and_the_former_goes_on_being_good(provision: Typed, ha: Path, out: Path) -> None:
    provision("--ha", ha, "--access-point", "Entourage")
    before = json.loads(out.read_text())

    code, _, err = provision("--ha", ha, "--rekey")

    after = json.loads(out.read_text())
    assert code == 0, err
    assert agree(ha, out)
    assert (before["spi"], after["spi"]) == (256, 257) and before["key"] != after["key"]
    assert {**before, "spi": 257, "key": after["key"]} == after
    assert set(load_home_agent(ha).policy.subscribers[NAI].associations) == {256, 257}


def test_where_the_home_agent_is_elsewhere_its_lines_are_printed(provision: Typed, ha: Path, out: Path) -> None:
    code, said, _ = provision("--home-agent", "192.0.2.1")

    key_file = out.parent / f"{NAI}.256.key"
    assert code == 0
    assert key_of(out).hex() not in said
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    ha.write_text(ha.read_text() + said[said.index("\n[[subscriber]]") : said.index(str(out))])
    key_file.rename(ha.parent / key_file.name)
    assert agree(ha, out)


def test_rekeyed_where_the_home_agent_is_elsewhere_counts_on(provision: Typed, out: Path) -> None:
    provision("--home-agent", "192.0.2.1", "--spi", 1000)

    code, said, _ = provision("--home-agent", "192.0.2.1", "--rekey")

    assert code == 0
    assert "spi = 1001" in said and json.loads(out.read_text())["spi"] == 1001


def test_several_uplinks_in_the_order_of_preference(provision: Typed, out: Path) -> None:
    words = ("--home-agent", "192.0.2.1", "--uplink", "Office", "--uplink", "Home", "--open-uplink", "Café")

    code, _, err = provision(*words, typed="office pass\nhome pass\n")

    assert code == 0, err
    assert json.loads(out.read_text())["uplinks"] == [
        {"ssid": "Office", "password": "office pass", "priority": 3, "address": "dhcp"},
        {"ssid": "Home", "password": "home pass", "priority": 2, "address": "dhcp"},
        {"ssid": "Café", "password": None, "priority": 1, "address": "dhcp"},
    ]


def test_the_board_gets_it_too(provision: Typed, ha: Path, out: Path, board: StandIn) -> None:
    code, said, err = provision("--ha", ha, "--port", board.port)

    assert code == 0, err
    assert json.loads((board.root / "config.json").read_bytes()) == json.loads(out.read_text())
    assert "config.json + key: (not shown)" in said


def test_what_cannot_be_done_leaves_no_trace(provision: Typed, ha: Path, out: Path) -> None:
    code, _, err = provision("--ha", ha, "--port", "/dev/nothing")

    assert code != 0
    assert len(err.splitlines()) == 1 and "/dev/nothing: No such file or directory" in err
    assert ha.read_text() == HA
    assert sorted(path.name for path in ha.parent.iterdir()) == ["elder.key", "ha.toml"]
    assert not out.exists()


def test_nobody_becomes_a_subscriber_whose_configuration_cannot_be_written(
    provision: Typed, ha: Path, tmp_path: Path
) -> None:
    out = tmp_path / "nowhere" / "node.json"

    code, said, err = provision("--ha", ha, "--out", out)

    assert (code, said, err) == (1, "", f"entourage board provision: {out}: nothing can be written there\n")
    assert ha.read_text() == HA
    assert sorted(path.name for path in ha.parent.iterdir()) == ["elder.key", "ha.toml"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--home-agent", "192.0.2.256"], "--home-agent: 192.0.2.256 is not the address of a host"),
        (["--home-agent", "255.255.255.255"], "--home-agent: 255.255.255.255 is not the address of a host"),
        (["--home-agent", "192.0.2.1", "--rekey"], "node.json: No such file or directory"),
    ],
)
def test_what_makes_no_sense_is_one_line(provision: Typed, out: Path, words: list[str], complaint: str) -> None:
    code, said, err = provision(*words)

    assert (code, said) == (1, "")
    assert len(err.splitlines()) == 1 and complaint in err
    assert not out.exists()


def test_a_subscriber_that_is_there_is_not_made_again(provision: Typed, ha: Path, out: Path) -> None:
    provision("--ha", ha)
    once = ha.read_text()
    configured = out.read_text()

    again = provision("--ha", ha)
    out.unlink()
    elsewhere = provision("--ha", ha)

    assert again[0] == elsewhere[0] == 1
    assert f"{out}: is there already: --rekey" in again[2]
    assert f"{NAI} is a subscriber already: --rekey" in elsewhere[2]
    assert ha.read_text() == once and configured


def test_rekeying_who_is_no_subscriber_is_refused(provision: Typed, ha: Path, out: Path) -> None:
    provision("--home-agent", "192.0.2.1")
    before = out.read_text()

    code, _, err = provision("--ha", ha, "--rekey")

    assert code == 1 and "is no subscriber yet" in err
    assert (ha.read_text(), out.read_text()) == (HA, before)


def test_rekeying_another_ones_configuration_is_refused(provision: Typed, ha: Path, out: Path) -> None:
    provision("--ha", ha)
    before = ha.read_text()
    out.write_text(json.dumps({**json.loads(out.read_text()), "nai": "other@example.net"}))

    code, _, err = provision("--ha", ha, "--rekey")

    assert code == 1 and f"not the configuration of {NAI}" in err
    assert ha.read_text() == before


@pytest.mark.parametrize("typed", ["", "short\n", "x" * 64 + "\n"])
def test_a_password_that_no_network_has_is_refused(provision: Typed, out: Path, typed: str) -> None:
    code, _, err = provision("--home-agent", "192.0.2.1", typed=typed)

    assert code == 1 and "--uplink Office: a WPA password has 8 to 63 characters" in err
    assert not out.exists()


@pytest.mark.parametrize("nai", ["", "a b@example.net", "x" * 300 + "@example.net"])
def test_an_nai_that_is_none_is_refused(entourage_board: Typed, tmp_path: Path, nai: str) -> None:
    words = ("--home-agent", "192.0.2.1", "--open-uplink", "Café", "--no-board", "--out", tmp_path / "node.json")

    code, _, err = entourage_board("provision", nai, *words)

    assert code == 1 and len(err.splitlines()) == 1
    assert err.startswith("entourage board provision: NAI: ")


def test_a_broken_home_agent_file_is_told_by_its_own_mistake(provision: Typed, ha: Path) -> None:
    ha.write_text(HA.replace("10.10.0.10-", "10.99.0.10-"))

    code, _, err = provision("--ha", ha)

    assert code == 2 and f"{ha}: network[0].pool" in err


def test_an_nai_with_a_slash_does_not_lead_elsewhere(
    entourage_board: Typed, ha: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    code, _, err = entourage_board("provision", "a/b@example.net", "--ha", ha, "--open-uplink", "Café", "--no-board")

    assert code == 0, err
    assert (ha.parent / "a_b@example.net.256.key").exists() and (tmp_path / "a_b@example.net.json").exists()


def test_no_key_stands_in_the_list_of_processes(ha: Path, out: Path) -> None:
    """As it is typed: everything secret comes by stdin or is made inside."""
    argv = [
        sys.executable,
        "-m",
        "host_agents.cli.main",
        "board",
        "provision",
        NAI,
        "--ha",
        str(ha),
        "--uplink",
        "Office",
    ]
    argv += ["--out", str(out), "--no-board"]

    done = subprocess.run(argv, input=PASSWORD + "\n", capture_output=True, text=True, cwd=PROJECT, env={**os.environ})

    assert done.returncode == 0, done.stderr
    assert PASSWORD not in " ".join(argv) + done.stdout + done.stderr
    assert re.search(rf"{re.escape(NAI)} is a subscriber, SPI 256", done.stdout)
    assert parse("192.0.2.1") == load_home_agent(ha).policy.address
