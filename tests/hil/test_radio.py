"""Wi-Fi networks of a rig, joined one after another. Not run so far: no board was at hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.hil.conftest import join
from tests.hil.remote_node import RemoteNode
from tests.hil.rig import Network
from tools.board.connection import Connection

pytestmark = pytest.mark.radio


def test_every_network_of_the_rig_is_joined(
    board: Connection, on_board: Callable[[str], None], networks: list[Network]
) -> None:
    on_board("wifi")

    for network in networks:
        address = join(board, network)
        print(network.ssid, address)
        assert address.count(".") == 3 and address != "0.0.0.0"


def test_a_session_keeps_its_address_from_network_to_network(
    board: Connection, on_board: Callable[[str], None], networks: list[Network], host: str
) -> None:
    if len(networks) < 2:
        pytest.skip("one [[network]] in --rig: there is nowhere to roam to")
    addresses = set()

    for network in networks:
        on_board("wifi")
        join(board, network)
        on_board("node")
        with RemoteNode(board, host, mode="foreign-agent") as node:
            node.move("fa1")
            node.await_so(lambda node=node: bool(node.world.home_agent.bindings()))  # type: ignore[misc]
            addresses.add(node.world.home_agent.bindings()[""][0])

    assert len(addresses) == 1
