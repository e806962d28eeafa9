"""What agents in the lab tell an operator without a browser: metrics, logs, events as they happen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from host_agents.web import mib
from tests.web.conftest import FOREIGN, HOME, Roam
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.world import World

_NAI = "kleung@example.net"
_FA1, _FA2 = (plan.NETWORKS[name][0] for name in ("fa1", "fa2"))


def command(world: World, name: str, *words: str) -> list[str]:
    """`entourage ha|fa …` for the agent of a place."""
    role, config = name.rstrip("12"), str(world.crew.program(name).config)
    return [sys.executable, "-m", "host_agents.cli.main", role, *words, "--config", config]


def bindings(world: World, *filters: str) -> list[dict[str, Any]]:
    shown = world.run("ha", command(world, "ha", "show", "bindings", "--json", *filters))
    assert shown.returncode == 0, shown.stderr
    found: list[dict[str, Any]] = json.loads(shown.stdout)["bindings"]
    return found


def test_who_watches_one_session_sees_it_move_and_nothing_else(world: World, roam: Roam) -> None:
    watch = command(world, "ha", "watch", "--json", "--nai", "kleung@example.net", "--sub-nai", "KleungPC1")
    with world.spawn("ha", watch, stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        wait_until(lambda: watchers(world) == 1, 15, "somebody watches")
        roam("fa2")
        event = json.loads(watching.stdout.readline())
        watching.terminate()

    assert (event["kind"], event["sub_nai"], event["care_of"]) == ("moved", "KleungPC1", _FA2)


def test_filters_choose_and_nothing_found_is_said_in_words(world: World) -> None:
    one = bindings(world, "--sub-nai", "KleungPC2")
    own = bindings(world, "--nai", "kleung@example.net", "--sub-nai", "")
    none = world.run("ha", command(world, "ha", "show", "bindings", "--address", "10.10.0.99"))
    bad = world.run("ha", command(world, "ha", "show", "bindings", "--address", "10.10.0"))

    assert [found["sub_nai"] for found in (*one, *own)] == ["KleungPC2", ""]
    (at_home,) = bindings(world, "--address", one[0]["home_address"])
    assert at_home["sub_nai"] == "KleungPC2"
    assert (none.returncode, none.stdout) == (0, "nothing matches that\n")
    assert (bad.returncode, bad.stdout, bad.stderr) == (1, "", "entourage: not an IPv4 address: 10.10.0\n")


def test_who_is_looked_at_where_he_is_no_visitor_is_said_to_be_none(world: World, roam: Roam) -> None:
    roam("fa2")
    there, nowhere = (world.run("fa2", command(world, "fa2", "debug", nai)) for nai in (_NAI, "nobody@example.org"))
    off = [world.run("fa2", command(world, "fa2", "debug", nai, "--off")) for nai in (_NAI, "nobody@example.org")]

    assert (there.stderr, nowhere.stderr) == ("", "entourage: no visitor has the NAI nobody@example.org\n")
    assert [one.returncode for one in (there, nowhere, *off)] == [0] * 4
    assert off[-1].stdout == "looked at: nobody\n"


def test_pools_peers_and_status_are_told_as_they_are(world: World) -> None:
    (pool,) = world.entourage("ha", "show", "pools")["pools"]
    peers = {one["address"]: one for one in world.entourage("ha", "show", "peers")["peers"]}
    status = world.entourage("fa2", "show", "status")["status"]

    assert (pool["network"], pool["bound"]) == (plan.HOME_PREFIX, 3)
    assert pool["addresses"] == pool["bound"] + pool["reserved"] + pool["free"]
    assert sum(one["bindings"] for one in peers.values()) == 3
    assert set(peers) == {_FA1, _FA2} and all(one["key"] for one in peers.values())
    assert (status["role"], status["address"], status["http"]) == ("fa", _FA2, FOREIGN)


def test_running_agents_count_what_rfc_2006_names_and_label_nothing_with_a_peer(world: World) -> None:
    """The home agent's, and the foreign agents' that mn has been at."""
    home, foreign = (metrics(world, name, url) for name, url in (("ha", HOME), ("fa1", FOREIGN)))

    assert value(home, "entourage_ha_replies_sent_total", 'kind="registration"', 'code="0"') >= 6
    assert value(home, "entourage_ha_registration_duration_seconds_count") >= 6
    assert value(foreign, "entourage_fa_requests_relayed_total", 'kind="registration"') >= 3
    assert value(foreign, "entourage_fa_replies_sent_total", 'code="0"') >= 3
    assert value(foreign, "entourage_advertisements_sent_total", 'to="one"') >= 1
    for table, text in ((mib.HOME_AGENT, home), (mib.FOREIGN_AGENT, foreign)):
        assert all(f"\n{metric.partition('{')[0]}" in text for metric in table.values())
        assert not any(word in text for word in ("kleung", "KleungPC1", _FA1, plan.HOME_AGENT))


def test_no_key_and_no_token_is_in_any_log_whatever_is_told(world: World, roam: Roam, token: str) -> None:
    """Every message of the node is told, at both agents; the home agent writes text, the foreign agents JSON."""
    configured = [*world.directory.path.glob("*/*.toml"), *world.directory.path.glob("*/*.json")]
    keys = {key for path in configured for key in re.findall(r"hex:([0-9a-f]{32})", path.read_text())}
    assert len(keys) == 3
    for name in ("ha", "fa1", "fa2"):
        told = world.run(name, command(world, name, "debug", "kleung@example.net"))
        assert told.stdout == "looked at: kleung@example.net\n"

    roam("fa1")
    wait_until(lambda: "reply nai=kleung@example.net" in log(world, "ha"), 15, "a reply in the home agent's log")
    roam("fa2")
    wait_until(lambda: '"code": "0' in log(world, "fa2"), 15, "a reply in the foreign agent's log")

    logs = {path.name: path.read_text() for path in (world.directory / "log").glob("*.log")}
    assert {"ha.log", "fa1.log", "fa2.log", "mn.log"} <= logs.keys()
    for text in logs.values():
        assert not any(secret in text or bytes.fromhex(secret).hex(":") in text for secret in keys)
        assert token not in text
    lines = [json.loads(line) for line in logs["fa2.log"].splitlines()]
    assert {"request", "reply"} <= {one["text"].split()[1] for one in lines if one["kind"] == "debug"}


def watchers(world: World) -> int:
    return int(world.entourage("ha", "show", "status")["status"]["watchers"])


def test_a_foreign_agents_page_has_its_visitors_and_nothing_to_release(world: World) -> None:
    page = fetched(world, "fa2", FOREIGN)

    assert "Foreign agent <b>203.0.113.66</b>" in page
    assert all(session in page for session in ("KleungPC1", "KleungPC2", "vis0"))
    assert 'class="release"' not in page


def metrics(world: World, name: str, url: str) -> str:
    return fetched(world, name, f"{url}/metrics")


def fetched(world: World, name: str, url: str) -> str:
    story = f"import urllib.request; print(urllib.request.urlopen('{url}').read().decode())"
    done = world.run(name, [sys.executable, "-c", story])
    assert done.returncode == 0, done.stderr
    return done.stdout


def value(text: str, name: str, *labels: str) -> float:
    """The sum of the samples of a name that have these labels."""
    lines = [line for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))


def log(world: World, name: str) -> str:
    return Path(world.directory / "log" / f"{name}.log").read_text()
