"""The home agent's TOML file, checked key by key. What it has in common with the foreign agent's: config.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from host_agents.encapsulation import ASKED_FOR
from host_agents.home_agent.policy import Policy
from host_agents.runtime.config import AgentSection, Common, Peer, read_common, read_peers
from host_agents.runtime.config_reader import Reader, Section
from host_agents.runtime.home_config import NetworkSection, SubscriberSection, read_network, read_subscribers
from host_agents.runtime.radius_config import Radius, RadiusSection, read_radius
from mip4.const import PORT


class HomeAgentSection(AgentSection, kw_only=True):
    address: str
    state: str = "ha.sqlite"
    control: str = "ha.sock"
    lifetime: int = 1800
    port: int = PORT
    require_foreign_agent_key: bool = False
    udp_tunnel: bool = True
    udp_lifetime: int = 60
    udp_keepalive: int = 20
    redirect: str = ""
    encapsulations: tuple[str, ...] = ASKED_FOR
    simultaneous_bindings: int = 3


class _HomeAgentFile(Section):
    home_agent: HomeAgentSection
    network: list[NetworkSection]
    subscriber: list[SubscriberSection] = []
    foreign_agent: list[Peer] = []
    radius: RadiusSection | None = None


@dataclass(slots=True, frozen=True)
class HomeAgentConfig:
    common: Common
    policy: Policy
    port: int
    radius: Radius | None


def load_home_agent(path: Path) -> HomeAgentConfig:
    """Read ha.toml. Raises ConfigurationError: for each mistake a line with file, key and reason."""
    reader = Reader(path)
    file = reader.load(_HomeAgentFile)
    section = file.home_agent
    reader.need("network", bool(file.network), "at least one home network is needed")
    reader.need("home_agent.udp_keepalive", 10 <= section.udp_keepalive <= 0xFFFF, "outside 10..65535 seconds")
    reader.need("home_agent.port", 0 < section.port < 65536, f"{section.port} is no port")
    reader.need("home_agent.simultaneous_bindings", 0 < section.simultaneous_bindings <= 16, "outside 1..16")
    networks = tuple(read_network(reader, f"network[{at}]", one) for at, one in enumerate(file.network))
    links = [one.interface for one in networks if one.interface]
    reader.need("network", len(links) == len(set(links)), "two home networks on one interface")
    elsewhere = not section.redirect or section.redirect != section.address
    reader.need("home_agent.redirect", elsewhere, "that is this home agent itself")
    policy = Policy(
        address=reader.address("home_agent.address", section.address),
        lifetime=reader.lifetime("home_agent.lifetime", section.lifetime),
        networks=networks,
        subscribers=read_subscribers(reader, file.subscriber, networks),
        foreign_agents=read_peers(reader, "foreign_agent", file.foreign_agent),
        sub_nai_vendor=section.sub_nai_vendor,
        require_foreign_agent_key=section.require_foreign_agent_key,
        udp_tunnel=section.udp_tunnel,
        udp_lifetime=reader.lifetime("home_agent.udp_lifetime", section.udp_lifetime),
        udp_keepalive=section.udp_keepalive,
        redirect=reader.address("home_agent.redirect", section.redirect) if section.redirect else 0,
        reverse_tunnel=section.reverse_tunnel,
        reverse_tunnel_required=section.reverse_tunnel_required,
        encapsulations=reader.encapsulations("home_agent.encapsulations", section.encapsulations),
        simultaneous_bindings=section.simultaneous_bindings,
        asks=file.radius is not None and bool(file.radius.server),
    )
    radius = None if file.radius is None else read_radius(reader, file.radius)
    keys = [one.key for one in (*file.subscriber, *file.foreign_agent)]
    keys += [one.aaa.key for one in file.subscriber if one.aaa is not None]
    keys += [file.radius.secret] if file.radius is not None else []
    common = read_common(reader, section, "home_agent", keys)
    reader.finish()
    return HomeAgentConfig(common, policy, section.port, radius)
