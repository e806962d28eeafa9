"""Nonces, challenges and a AAA server's key, end to end: real daemons, the firmware, a home agent that is killed."""

from __future__ import annotations

from mip4.extensions import MnAaaAuthentication, MobileForeignChallenge, find
from mip4.messages import RegistrationRequest
from tests.lab.conftest import MakeWorld
from tests.lab.test_associations import bindings, registrations
from tests.lab.test_main_job import visitors
from tests.lab.test_uplink_dhcp import status
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan
from tools.lab.world import World

_NAI = "kleung@example.net"
_AAA = {"spi": 2, "key": "text:for the AAA server"}
_SOON = 30.0


class Renewals:
    """Whether every binding was renewed since this was made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._least: dict[str, int] = {}
        self._renewed: set[str] = set()

    def done(self) -> bool:
        for one in self._world.entourage("ha", "show", "bindings")["bindings"]:
            least = self._least[one["sub_nai"]] = min(self._least.get(one["sub_nai"], 0xFFFF), one["expires_in"])
            if one["expires_in"] > least:
                self._renewed.add(one["sub_nai"])
        return len(self._renewed) == 2


def test_a_challenged_node_roams_and_renews_with_nonces_while_its_home_agent_is_killed(make_world: MakeWorld) -> None:
    settings = {"replay": "nonces", "aaa": _AAA, "applications": ["telemetry"]}
    world = make_world(
        nodes=(NodePlan("mn", _NAI, (), settings=settings),),
        lifetime=10,
        subscribers={_NAI: {"replay": "nonces", "aaa": _AAA}},
        foreign_agent={"challenge": True},
    )
    sessions = ["registered"] * 2  # at the node, too: who moves before the reply comes does not know the next nonce
    wait_until(lambda: [one["state"] for one in status(world, "mn")["sessions"]] == sessions, _SOON, "both registered")

    world.roam("mn", "fa2")
    there = {(_NAI, name): plan.NETWORKS["fa2"][0] for name in ("", "telemetry")}
    wait_until(lambda: bindings(world) == there, _SOON, f"bindings {there}")
    wait_until(lambda: len(visitors(world, "fa2")) == 2, _SOON, "the replies at fa2: what they promise is durable")
    world.kill("ha")
    world.start("ha")
    wait_until(Renewals(world).done, _SOON, "both bindings renewed")

    assert bindings(world) == there
    assert world.crew.log("ha").read_text().count("code=133") == 2  # the first request of each session
    said = [line for name in plan.FOREIGN_AGENTS for line in world.crew.log(name).read_text().splitlines()]
    assert [line for line in said if "challenge" in line] == []
    seen = registrations(world)
    for kind in (MobileForeignChallenge, MnAaaAuthentication):
        assert all(len(find(one.extensions, kind)) == 1 for one in seen if type(one) is RegistrationRequest)
    assert all(find(one.extensions, MobileForeignChallenge) for one in seen)
    assert len(seen) >= 12
