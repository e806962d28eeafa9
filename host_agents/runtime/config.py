"""What both agents' TOML files have in common, and the home agent's, checked key by key: the policy of its engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from host_agents.encapsulation import ASKED_FOR
from host_agents.home_agent.policy import Policy as HomeAgentPolicy
from host_agents.runtime.config_reader import Key, Reader, Section
from host_agents.runtime.home_config import NetworkSection, SubscriberSection, read_network, read_subscribers
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import PORT

DATAPATHS = ("auto", "bpf", "ipip", "tun", "none")
LOGS = ("text", "json")


class AgentSection(Section, kw_only=True):
    """The keys of [home_agent] and [foreign_agent] that say the same; each has its own defaults for three of them."""

    state: str
    control: str
    lifetime: int
    group_may_read: bool = False
    http: str = ""
    http_token: str = ""
    http_names: list[str] = []
    log: str = "text"
    datapath: str = "auto"
    device: str = "mip0"
    sub_nai_vendor: int = 0
    reverse_tunnel: bool = True
    reverse_tunnel_required: bool = False


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


class Peer(Key, kw_only=True):
    """The association with an agent of the other kind."""

    address: str


class _Radius(Section):
    secret: str
    server: str = ""
    accounting: str = ""
    interim: int = 600
    disconnect: str = ""
    timeout: float = 2.0
    tries: int = 3
    cache: int = 3600
    sessions: int = 8


class _HomeAgentFile(Section):
    home_agent: HomeAgentSection
    network: list[NetworkSection]
    subscriber: list[SubscriberSection] = []
    foreign_agent: list[Peer] = []
    radius: _Radius | None = None


@dataclass(slots=True, frozen=True)
class Common:
    """What both daemons need besides their policy. path: of the file itself. warnings: lines for the log.

    group_may_read: whether the control socket answers this process's group. http: where the page is served, None for
    nowhere; http_token: the file with the word that lets a browser change things; http_names: further names by which
    browsers may call us.
    """

    path: Path
    state: Path
    control: Path
    group_may_read: bool
    http: tuple[str, int] | None
    http_token: Path
    http_names: tuple[str, ...]
    log: str
    datapath: str
    device: str
    warnings: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class Radius:
    """What a RADIUS server has to do with us; addresses and ports, None: nothing. timeout, cache, interim: seconds.

    server: where subscribers are asked for who are not in the file (RFC 2865). sessions: of each such subscriber.
    accounting: who is told of sessions (RFC 2866), every `interim` again, 0: only of beginning, moves and end.
    disconnect: where of ours they may ask us to end sessions (RFC 5176).
    """

    server: tuple[str, int] | None
    accounting: tuple[str, int] | None
    interim: int
    disconnect: tuple[str, int] | None
    secret: bytes
    timeout: float
    tries: int
    cache: int
    sessions: int


@dataclass(slots=True, frozen=True)
class HomeAgentConfig:
    common: Common
    policy: HomeAgentPolicy
    port: int
    radius: Radius | None


def read_common(reader: Reader, section: AgentSection, name: str, keys: list[str]) -> Common:
    reader.need(
        f"{name}.datapath", section.datapath in DATAPATHS, f"{section.datapath} is none of {', '.join(DATAPATHS)}"
    )
    need_device(reader, name, section)
    reader.need(f"{name}.sub_nai_vendor", 0 <= section.sub_nai_vendor < 1 << 24, "no enterprise number")
    reader.need(
        f"{name}.reverse_tunnel_required",
        section.reverse_tunnel or not section.reverse_tunnel_required,
        "there are none: reverse_tunnel is false",
    )
    control = reader.beside(section.control)
    reader.need(
        f"{name}.control", len(os.fsencode(control)) < 108, f"{control}: a socket's path has at most 107 octets"
    )
    reader.need(f"{name}.log", section.log in LOGS, f"{section.log} is none of {', '.join(LOGS)}")
    http = reader.value(f"{name}.http", None, _http, section.http)
    warnings = []
    if os.stat(reader.path).st_mode & 0o077 and any(not key.startswith("file:") for key in keys):
        warnings.append(f"{reader.path} holds keys and is open to others: chmod 600 it")
    return Common(
        reader.path,
        reader.beside(section.state),
        control,
        section.group_may_read,
        http,
        reader.beside(section.http_token or f"{section.state}.token"),
        tuple(section.http_names),
        section.log,
        section.datapath,
        section.device,
        tuple(warnings),
    )


def need_device(reader: Reader, name: str, section: AgentSection) -> bool:
    """Whether the name of its device can be one."""
    return reader.need(f"{name}.device", 0 < len(section.device) < 16, "an interface name has 1..15 characters")


def _http(text: str) -> tuple[str, int] | None:
    """Address and port that a page is served at; None for "". Raises ValueError."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text} is no ADDRESS:PORT")
    return str(ip_address(host.strip("[]"))), int(port)


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
    policy = HomeAgentPolicy(
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
    radius = None if file.radius is None else _radius(reader, file.radius)
    keys = [one.key for one in (*file.subscriber, *file.foreign_agent)]
    keys += [one.aaa.key for one in file.subscriber if one.aaa is not None]
    keys += [file.radius.secret] if file.radius is not None else []
    common = read_common(reader, section, "home_agent", keys)
    reader.finish()
    return HomeAgentConfig(common, policy, section.port, radius)


def _radius(reader: Reader, section: _Radius) -> Radius:
    server = _place(reader, "radius.server", section.server, 1812)
    accounting = _place(reader, "radius.accounting", section.accounting, 1813)
    disconnect = _place(reader, "radius.disconnect", section.disconnect, 3799)
    reader.need("radius", bool(section.server or section.accounting), "neither server nor accounting is named")
    reader.need("radius.timeout", 0.1 <= section.timeout <= 30, "outside 0.1..30 seconds")
    reader.need("radius.tries", 0 < section.tries <= 10, "outside 1..10")
    reader.need("radius.cache", 60 <= section.cache <= 604_800, "outside 60..604800 seconds")
    reader.need("radius.sessions", 0 < section.sessions <= 4096, "outside 1..4096")
    interim = section.interim
    reader.need("radius.interim", interim == 0 or 60 <= interim <= 86_400, "neither 0 nor 60..86400 seconds")
    secret = reader.secret("radius.secret", section.secret)
    return Radius(
        server, accounting, interim, disconnect, secret, section.timeout, section.tries, section.cache, section.sessions
    )


def _place(reader: Reader, key: str, text: str, otherwise: int) -> tuple[str, int] | None:
    """ADDRESS or ADDRESS:PORT; None for ""."""
    if not text:
        return None
    host, _, port = text.partition(":")
    reader.value(key, 0, parse, host)
    reader.need(key, not port or (port.isdecimal() and 0 < int(port) < 65536), f"{port} is no port")
    return host, int(port) if port.isdecimal() else otherwise


def read_peers(reader: Reader, key: str, entries: list[Peer]) -> dict[int, SecurityAssociation]:
    found: dict[int, SecurityAssociation] = {}
    for at, one in enumerate(entries):
        address = reader.address(f"{key}[{at}].address", one.address)
        reader.need(f"{key}[{at}].address", address not in found, f"{one.address} twice")
        found[address] = reader.association(f"{key}[{at}]", one)
    return found
