"""The foreign agent's TOML file, checked key by key. What it has in common with the home agent's: config.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from host_agents.foreign_agent.policy import Policy, VisitedInterface
from host_agents.runtime.config import AgentSection, Common, Peer, read_common, read_peers
from host_agents.runtime.config_reader import Key, Reader, Section
from mip4.nai import check_nai

T = TypeVar("T")


class _MobileNode(Key, kw_only=True):
    nai: str


class ForeignAgentSection(AgentSection, kw_only=True):
    care_of_address: str
    interfaces: list[str]
    state: str = "fa.sqlite"
    control: str = "fa.sock"
    lifetime: int = 600
    advertise_interval: float = 1.0
    registration_required: bool = True
    requests_per_minute: int = 60
    sub_nai_from_link: bool = False
    challenge: bool = False
    home_agent_default: str = ""
    visitors: int = 4096
    encapsulations: tuple[str, ...] = ()
    encapsulating_delivery: bool = True


class _ForeignAgentFile(Section):
    foreign_agent: ForeignAgentSection
    home_agent: list[Peer] = []
    mobile_node: list[_MobileNode] = []
    aaa: list[_MobileNode] = []


@dataclass(slots=True, frozen=True)
class ForeignAgentConfig:
    common: Common
    policy: Policy


def load_foreign_agent(path: Path) -> ForeignAgentConfig:
    """Read fa.toml. Raises ConfigurationError: for each mistake a line with file, key and reason."""
    reader = Reader(path)
    key = "foreign_agent.home_agent_default"
    file = reader.load(_ForeignAgentFile)
    section = file.foreign_agent
    reader.need("foreign_agent.interfaces", bool(section.interfaces), "at least one visited link is needed")
    reader.need("foreign_agent.requests_per_minute", 0 < section.requests_per_minute <= 900, "outside 1..900")
    reader.need("foreign_agent.visitors", 0 < section.visitors <= 65536, "outside 1..65536")
    reader.need(
        "foreign_agent.sub_nai_from_link",
        not section.sub_nai_from_link or bool(file.home_agent),
        "home agents believe it only from an agent they share a key with: [[home_agent]] is missing",
    )
    reader.need("aaa", section.challenge or not file.aaa, "nobody answers a challenge without foreign_agent.challenge")
    keys = [one.key for one in (*file.home_agent, *file.mobile_node, *file.aaa)]
    common = read_common(reader, section, "foreign_agent", keys)
    policy = Policy(
        care_of_address=reader.address("foreign_agent.care_of_address", section.care_of_address),
        interfaces=tuple(map(VisitedInterface, section.interfaces)),
        lifetime=reader.lifetime("foreign_agent.lifetime", section.lifetime),
        advertise_interval=reader.advertise_interval("foreign_agent.advertise_interval", section.advertise_interval),
        registration_required=section.registration_required,
        reverse_tunnel=section.reverse_tunnel,
        reverse_tunnel_required=section.reverse_tunnel_required,
        requests_per_minute=section.requests_per_minute,
        sub_nai_vendor=section.sub_nai_vendor,
        sub_nai_from_link=section.sub_nai_from_link,
        home_agent_default=reader.address(key, section.home_agent_default) if section.home_agent_default else 0,
        visitors=section.visitors,
        encapsulations=reader.encapsulations("foreign_agent.encapsulations", section.encapsulations),
        encapsulating_delivery=section.encapsulating_delivery,
        home_agents=read_peers(reader, "home_agent", file.home_agent),
        mobile_nodes=_by_nai(reader, "mobile_node", file.mobile_node, reader.association),
        challenge=section.challenge,
        aaa=_by_nai(reader, "aaa", file.aaa, reader.aaa_association),
    )
    reader.finish()
    return ForeignAgentConfig(common, policy)


def _by_nai(
    reader: Reader, key: str, entries: list[_MobileNode], association: Callable[[str, Key], T]
) -> dict[str, dict[int, T]]:
    """NAI -> SPI -> association."""
    found: dict[str, dict[int, T]] = {}
    for at, one in enumerate(entries):
        nai = reader.value(f"{key}[{at}].nai", one.nai, check_nai, one.nai.encode())
        reader.need(f"{key}[{at}].spi", one.spi not in found.get(nai, {}), f"{one.spi} twice for {nai}")
        found.setdefault(nai, {})[one.spi] = association(f"{key}[{at}]", one)
    return found
