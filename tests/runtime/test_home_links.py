"""A home agent whose home network is a real link, as its router and its neighbours meet it."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from host_agents.runtime.errors import ConfigurationError, KernelRefused
from host_agents.runtime.home_agent_config import load_home_agent
from host_agents.runtime.home_router import HomeRouter
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import CONFIG_REQUEST, HA_IDENTIFICATION
from mip4.extensions import MobileHomeAuthentication, Nai, host_configuration
from mip4.identification import NTP_UNIX, Noise, Timestamps
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import SubNai
from tests.runtime.namespaces import Network, why_not
from tests.runtime.test_addressing_config import HOME_AGENT, NETWORK, _file
from tests.runtime.test_home_agent_daemon import CONFIG, KEY, NAI, PATIENCE, Home
from tests.runtime.test_routers import HOME as PREFIX
from tests.runtime.test_routers import device

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

AGENT, FIRST = "192.0.2.1", "10.10.0.10"


class HomeWithLink(Home):
    """home0 of the home agent is the other end of a neighbour's net0."""

    def __init__(self, network: Network, folder: Path, **link: str) -> None:
        super().__init__(network, folder)
        config = CONFIG.replace('datapath = "none"', 'datapath = "tun"')
        self.config.write_text(config.replace('gateway = "10.10.0.1"', 'gateway = "10.10.0.1"\ninterface = "home0"'))
        self.network = network
        network.node("host")
        network.sysctl("ha", "net.ipv4.ip_forward", 1)
        for one in ("all", "default"):
            network.sysctl("ha", f"net.ipv4.conf.{one}.send_redirects", 0)
            network.sysctl("ha", f"net.ipv4.conf.{one}.rp_filter", 0)
        network.link("ha", "home0", "10.10.0.1/16", "host", "net0", "10.10.255.251/16")

    def asked(self, address: str) -> bool:
        """Whether anybody answers the neighbour that asks for `address`."""
        command = ["ip", "netns", "exec", self.network.full("host"), "busybox", "arping", "-c2", "-w2", "-f", "-Inet0"]
        done = subprocess.run([*command, address], capture_output=True, text=True, timeout=PATIENCE)
        return "Received 0" not in done.stdout

    def routes(self) -> list[str]:
        """Home addresses that are led into the tunnel."""
        return re.findall(r"^(\S+) ", self.network.ip("ha", "route", "show", "dev", "mip0"), re.MULTILINE)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[HomeWithLink]:
    network = Network()
    made = HomeWithLink(network, tmp_path)
    try:
        yield made
    finally:
        if made.process is not None:
            made.end(signal.SIGKILL)
        made.socket.close()
        network.close()


def register(home: HomeWithLink, sub_nai: str) -> str:
    home.ask(sub_nai)
    _, code, address = home.answer()
    assert code == 0
    return address


@contextlib.contextmanager
def a_node_at(home: HomeWithLink, address: str) -> Iterator[socket.socket]:
    """Port 434 of a node that is on the home link with its home address."""
    home.network.ip("host", "address", "add", f"{address}/16", "dev", "net0")
    home.network.ip("host", "route", "add", f"{AGENT}/32", "via", "10.10.0.1", "src", address)
    with home.network.inside("host"):
        node = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    node.bind((address, 434))
    node.settimeout(PATIENCE)
    try:
        yield node
    finally:
        node.close()


def from_home(address: str, sub_nai: str, late: int = 0) -> bytes:
    """A deregistration at home. late: seconds by which its clock is wrong."""
    now = time.time_ns() // 1_000_000 + late * 1000
    extensions = [Nai(NAI), SubNai(sub_nai.encode(), 0, None).extension(), host_configuration(CONFIG_REQUEST, b"\0")]
    fresh = Timestamps(NTP_UNIX * 1000, Noise(b"node")).next(now)
    message = RegistrationRequest(0, 0, parse(address), parse(AGENT), parse(address), fresh, extensions)
    return SecurityAssociation(256, bytes.fromhex(KEY)).sign(message.encode(), MobileHomeAuthentication)


def test_ha_26_who_is_away_goes_into_the_tunnel_and_is_answered_for_also_after_a_crash(home: HomeWithLink) -> None:
    home.start()
    assert home.routes() == []
    address = register(home, "camera")
    assert home.routes() == [address]
    assert home.asked(address)

    home.end(signal.SIGKILL)
    assert home.routes() == [address]
    assert not home.asked(address)
    home.start()

    assert home.routes() == [address]
    assert home.asked(address)


def test_ha_26_what_a_dead_agent_led_into_the_tunnel_is_swept_when_it_is_over(home: HomeWithLink) -> None:
    home.start()
    address = register(home, "camera")
    home.end(signal.SIGKILL)
    home.config.with_name("ha.sqlite").unlink()

    home.start()

    assert home.routes() == []
    assert not home.asked(address)


def test_ha_26_a_denial_goes_to_who_is_at_home_though_he_is_registered_elsewhere(home: HomeWithLink) -> None:
    home.start()
    address = register(home, "camera")

    with a_node_at(home, address) as node:
        node.sendto(from_home(address, "camera", late=-1000), (AGENT, 434))
        denied = RegistrationReply.decode(node.recv(2048))
        assert (denied.code, home.routes()) == (HA_IDENTIFICATION, [address])
        node.sendto(from_home(address, "camera"), (AGENT, 434))
        accepted = RegistrationReply.decode(node.recv(2048))

    assert (accepted.code, accepted.lifetime) == (0, 0)
    assert home.routes() == []
    assert home.bindings() == {}


def test_a_released_session_is_no_longer_answered_for(home: HomeWithLink) -> None:
    home.start()
    address = register(home, "camera")

    assert home.run("ha", "release", NAI.decode(), "camera").returncode == 0

    assert home.routes() == []
    assert not home.asked(address)


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [("rp_filter", 1, "home0 drops packets"), ("send_redirects", 1, "home0 sends ICMP redirects")],
)
def test_settings_of_the_home_link_that_would_lose_packets_are_told(
    home: HomeWithLink, setting: str, value: int, complaint: str
) -> None:
    home.network.sysctl("ha", f"net.ipv4.conf.home0.{setting}", value)

    for words in (("ha", "run"), ("ha", "check")):
        done = home.run(*words)
        assert done.returncode == 1
        assert complaint in done.stderr


def test_for_an_address_of_its_home_link_it_is_started_again_and_again(home: HomeWithLink) -> None:
    home.network.ip("ha", "address", "flush", "dev", "home0")

    done = home.run("ha", "run")

    assert done.returncode == 1  # 2 would be: the file is wrong, and stays so
    assert "home link home0: has no IPv4 address in 10.10.0.0/16" in done.stderr


# ---- routes


@pytest.fixture
def router(network: Network) -> Iterator[Network]:
    network.node("r", forwards=True)
    network.node("x")
    network.link("r", "home0", "10.10.0.1/24", "x", "net0", "10.10.0.200/24")
    with network.inside("r"):
        device("mip0")
        yield network


def led(router: Network) -> list[str]:
    return re.findall(r"^(\S+) ", router.ip("r", "route", "show", "dev", "mip0"), re.MULTILINE)


def test_on_a_link_only_who_is_registered_elsewhere_is_led_into_the_tunnel(router: Network) -> None:
    with closing(HomeRouter("mip0", [], [PREFIX])) as home:
        home.open()
        assert led(router) == []

        for _ in range(2):
            home.lead(parse(FIRST))
        assert led(router) == [FIRST]
        for _ in range(2):
            home.release(parse(FIRST))

    assert led(router) == []
    assert "10.10.0.0/24 dev home0" in router.ip("r", "route", "show")


def test_after_a_restart_routes_stay_untouched_and_what_is_over_goes(router: Network) -> None:
    with closing(HomeRouter("mip0", [], [PREFIX])) as earlier:
        earlier.open()
        for address in (FIRST, "10.10.0.11"):
            earlier.lead(parse(address))

    with closing(HomeRouter("mip0", [], [PREFIX])) as home:
        home.open()
        assert led(router) == [FIRST, "10.10.0.11"]
        home.sweep([parse("10.10.0.11"), parse("10.10.0.12")])
        assert led(router) == ["10.10.0.11"]
        home.lead(parse("10.10.0.11"))

    with closing(HomeRouter("mip0", [PREFIX])) as virtual, contextlib.suppress(KernelRefused):  # home0 has the prefix
        virtual.open()
    assert led(router) == []


def test_somebody_elses_route_to_a_home_address_is_not_replaced(router: Network) -> None:
    router.ip("r", "route", "add", f"{FIRST}/32", "via", "10.10.0.200")

    with closing(HomeRouter("mip0", [], [PREFIX])) as home, pytest.raises(KernelRefused, match=r"10\.10\.0\.10/32"):
        home.open()
        home.lead(parse(FIRST))


# ---- configuration


def test_a_network_may_be_a_link(tmp_path: Path) -> None:
    text = HOME_AGENT + NETWORK + 'interface = "eth0"\nadvertise_interval = 0.5\n'

    (network,) = load_home_agent(_file(tmp_path, text)).policy.networks

    assert (network.interface, network.advertise_interval) == ("eth0", 500)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ('interface = "a-name-that-is-too-long"', r"network\[0\]\.interface: an interface name"),
        ('interface = "eth0"\nadvertise_interval = 0.01', r"network\[0\]\.advertise_interval: outside"),
        (
            'interface = "eth0"\n[[network]]\nprefix = "10.20.0.0/24"\npool = []\ngateway = "10.20.0.1"\n'
            'interface = "eth0"',
            "network: two home networks on one interface",
        ),
    ],
)
def test_what_no_link_can_be_is_told(tmp_path: Path, more: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        load_home_agent(_file(tmp_path, HOME_AGENT + NETWORK + more + "\n"))
