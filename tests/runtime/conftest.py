from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtime.chain import OVERHEADS
from tests.runtime.namespaces import Network, why_no_bpf, why_not


@pytest.fixture
def network() -> Iterator[Network]:
    if reason := why_not():
        pytest.skip(reason)
    made = Network()
    yield made
    made.close()


@pytest.fixture(params=["tun", "bpf"])
def datapath(request, network: Network) -> str:
    """What carries the packets of a chain, for what all of them have to do alike."""
    return carried_by(network, request.param)


@pytest.fixture(params=[*(f"tun-{one}" for one in sorted(OVERHEADS)), "bpf-ipip", "bpf-udp"])
def encapsulation(request, network: Network) -> str:
    """Each encapsulation, by each datapath that does it itself."""
    name, _, found = request.param.partition("-")
    carried_by(network, name)
    return found


@pytest.fixture
def in_kernel(network: Network) -> Network:
    carried_by(network, "bpf")
    return network


def carried_by(network: Network, name: str) -> str:
    if name == "bpf" and (reason := why_no_bpf()):
        pytest.skip(reason)
    network.datapath = name
    return name
