"""The agents' TOML files, checked key by key, and the policies that the engines get from them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from host_agents.encapsulation import ASKED_FOR
from host_agents.home_agent.policy import HomeNetwork, Subscriber
from host_agents.home_agent.policy import Policy as HomeAgentPolicy
from host_agents.runtime.config_reader import Key, Reader, Section
from mip4.address import in_prefix, parse, parse_prefix, show
from mip4.authentication import AaaAssociation, SecurityAssociation
from mip4.const import PORT
from mip4.nai import check_nai, check_sub_nai

DATAPATHS = ("auto", "bpf", "ipip", "tun", "none")
LOGS = ("text", "json")
REPLAY = ("timestamps", "nonces")
_EVERYWHERE = (0, 0)  # stands in for a prefix that is none
_NARROWEST = 8  # prefix length of the largest home network

T = TypeVar("T")


class _HomeAgentSection(Section):
    address: str
    state: str = "ha.sqlite"
    control: str = "ha.sock"
    group_may_read: bool = False
    http: str = ""
    http_token: str = ""
    http_names: list[str] = []
    log: str = "text"
    datapath: str = "auto"
    device: str = "mip0"
    lifetime: int = 1800
    port: int = PORT
    sub_nai_vendor: int = 0
    require_foreign_agent_key: bool = False
    udp_tunnel: bool = True
    udp_lifetime: int = 60
    udp_keepalive: int = 20
    redirect: str = ""
    reverse_tunnel: bool = True
    reverse_tunnel_required: bool = False
    encapsulations: tuple[str, ...] = ASKED_FOR
    simultaneous_bindings: int = 3


class _Network(Section):
    prefix: str
    pool: list[str]
    gateway: str
    dns: list[str] = []
    interface: str = ""
    advertise_interval: float = 1.0


class _Subscriber(Key, kw_only=True):
    nai: str
    replay: str = ""
    sessions: int = 8
    addresses: dict[str, str] = {}
    aaa: Key | None = None


class _Peer(Key, kw_only=True):
    address: str


class _MobileNode(Key, kw_only=True):
    nai: str


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
    home_agent: _HomeAgentSection
    network: list[_Network]
    subscriber: list[_Subscriber] = []
    foreign_agent: list[_Peer] = []
    radius: _Radius | None = None


class _ForeignAgentSection(Section):
    care_of_address: str
    interfaces: list[str]
    state: str = "fa.sqlite"
    control: str = "fa.sock"
    group_may_read: bool = False
    http: str = ""
    http_token: str = ""
    http_names: list[str] = []
    log: str = "text"
    datapath: str = "auto"
    device: str = "mip0"
    lifetime: int = 600
    advertise_interval: float = 1.0
    registration_required: bool = True
    reverse_tunnel: bool = True
    reverse_tunnel_required: bool = False
    requests_per_minute: int = 60
    sub_nai_from_link: bool = False
    challenge: bool = False
    home_agent_default: str = ""
    sub_nai_vendor: int = 0
    visitors: int = 4096
    encapsulations: tuple[str, ...] = ()
    encapsulating_delivery: bool = True


class _ForeignAgentFile(Section):
    foreign_agent: _ForeignAgentSection
    home_agent: list[_Peer] = []
    mobile_node: list[_MobileNode] = []
    aaa: list[_MobileNode] = []


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


@dataclass(slots=True, frozen=True)
class ForeignAgentConfig:
    """The policy itself is made when the addresses of the interfaces are known."""

    common: Common
    care_of_address: int
    interfaces: tuple[str, ...]
    lifetime: int
    advertise_interval: int
    registration_required: bool
    reverse_tunnel: bool
    reverse_tunnel_required: bool
    requests_per_minute: int
    sub_nai_vendor: int
    sub_nai_from_link: bool
    home_agent_default: int
    visitors: int
    encapsulations: tuple[str, ...]
    encapsulating_delivery: bool
    home_agents: dict[int, SecurityAssociation]
    mobile_nodes: dict[str, dict[int, SecurityAssociation]]
    challenge: bool
    aaa: dict[str, dict[int, AaaAssociation]]


def _common(reader: Reader, section: _HomeAgentSection | _ForeignAgentSection, name: str, keys: list[str]) -> Common:
    reader.need(
        f"{name}.datapath", section.datapath in DATAPATHS, f"{section.datapath} is none of {', '.join(DATAPATHS)}"
    )
    reader.need(f"{name}.device", 0 < len(section.device) < 16, "an interface name has 1..15 characters")
    reader.need(f"{name}.sub_nai_vendor", 0 <= section.sub_nai_vendor < 1 << 24, "no enterprise number")
    reader.need(
        f"{name}.reverse_tunnel_required",
        section.reverse_tunnel or not section.reverse_tunnel_required,
        "there are none: reverse_tunnel is false",
    )
    reader.need(f"{name}.log", section.log in LOGS, f"{section.log} is none of {', '.join(LOGS)}")
    http = reader.value(f"{name}.http", None, _http, section.http)
    warnings = []
    if os.stat(reader.path).st_mode & 0o077 and any(not key.startswith("file:") for key in keys):
        warnings.append(f"{reader.path} holds keys and is open to others: chmod 600 it")
    return Common(
        reader.path,
        reader.beside(section.state),
        reader.beside(section.control),
        section.group_may_read,
        http,
        reader.beside(section.http_token or f"{section.state}.token"),
        tuple(section.http_names),
        section.log,
        section.datapath,
        section.device,
        tuple(warnings),
    )


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
    networks = tuple(_network(reader, f"network[{at}]", one) for at, one in enumerate(file.network))
    links = [one.interface for one in networks if one.interface]
    reader.need("network", len(links) == len(set(links)), "two home networks on one interface")
    reader.need("home_agent.redirect", section.redirect != section.address, "that is this home agent itself")
    policy = HomeAgentPolicy(
        address=reader.address("home_agent.address", section.address),
        lifetime=reader.lifetime("home_agent.lifetime", section.lifetime),
        networks=networks,
        subscribers=_subscribers(reader, file.subscriber, networks),
        foreign_agents=_peers(reader, "foreign_agent", file.foreign_agent),
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
    common = _common(reader, section, "home_agent", keys)
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


def load_foreign_agent(path: Path) -> ForeignAgentConfig:
    """Read fa.toml. Raises ConfigurationError: for each mistake a line with file, key and reason."""
    reader = Reader(path)
    key = "foreign_agent.home_agent_default"
    file = reader.load(_ForeignAgentFile)
    section = file.foreign_agent
    reader.need("foreign_agent.interfaces", bool(section.interfaces), "at least one visited link is needed")
    reader.need(
        "foreign_agent.advertise_interval", 0.1 <= section.advertise_interval <= 1800, "outside 0.1..1800 seconds"
    )
    reader.need("foreign_agent.requests_per_minute", 0 < section.requests_per_minute <= 900, "outside 1..900")
    reader.need("foreign_agent.visitors", 0 < section.visitors <= 65536, "outside 1..65536")
    reader.need(
        "foreign_agent.sub_nai_from_link",
        not section.sub_nai_from_link or bool(file.home_agent),
        "home agents believe it only from an agent they share a key with: [[home_agent]] is missing",
    )
    reader.need("aaa", section.challenge or not file.aaa, "nobody answers a challenge without foreign_agent.challenge")
    keys = [one.key for one in (*file.home_agent, *file.mobile_node, *file.aaa)]
    config = ForeignAgentConfig(
        common=_common(reader, section, "foreign_agent", keys),
        care_of_address=reader.address("foreign_agent.care_of_address", section.care_of_address),
        interfaces=tuple(section.interfaces),
        lifetime=reader.lifetime("foreign_agent.lifetime", section.lifetime),
        advertise_interval=round(section.advertise_interval * 1000),
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
        home_agents=_peers(reader, "home_agent", file.home_agent),
        mobile_nodes=_by_nai(reader, "mobile_node", file.mobile_node, reader.association),
        challenge=section.challenge,
        aaa=_by_nai(reader, "aaa", file.aaa, reader.aaa_association),
    )
    reader.finish()
    return config


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


def _network(reader: Reader, key: str, one: _Network) -> HomeNetwork:
    prefix = reader.value(f"{key}.prefix", _EVERYWHERE, parse_prefix, one.prefix)
    reader.need(f"{key}.prefix", prefix[1] >= _NARROWEST, f"{one.prefix} is larger than a /{_NARROWEST}")
    reader.need(f"{key}.interface", len(one.interface) < 16, "an interface name has at most 15 characters")
    reader.need(f"{key}.advertise_interval", 0.1 <= one.advertise_interval <= 1800, "outside 0.1..1800 seconds")
    pool = tuple(_range(reader, f"{key}.pool", text, prefix) for text in one.pool)
    gateway = reader.address(f"{key}.gateway", one.gateway)
    dns = tuple(reader.address(f"{key}.dns", text) for text in one.dns)
    reader.need(f"{key}.dns", len(dns) <= 2, "two servers are all that RFC 4332 can name")
    interval = round(one.advertise_interval * 1000)
    return HomeNetwork(prefix, pool, gateway, dns, one.interface, advertise_interval=interval)


def _range(reader: Reader, key: str, text: str, prefix: tuple[int, int]) -> tuple[int, int]:
    first_text, _, last_text = text.partition("-")
    first, last = reader.address(key, first_text.strip()), reader.address(key, (last_text or first_text).strip())
    reader.need(key, first <= last, f"{text} ends before it begins")
    inside = in_prefix(first, *prefix) and in_prefix(last, *prefix)
    reader.need(key, inside, f"{text} is not inside the prefix")
    return first, last


def _subscribers(
    reader: Reader, entries: list[_Subscriber], networks: tuple[HomeNetwork, ...]
) -> dict[str, Subscriber]:
    """Entries with one NAI are several SPIs of one subscriber; the first says what else it has.

    Each may have an `aaa` of its own. Replay protection is the NAI's, not the SPI's: a session has one state.
    """
    found: dict[str, Subscriber] = {}
    taken: dict[int, str] = {network.gateway: "a gateway" for network in networks}
    for at, one in enumerate(entries):
        key = f"subscriber[{at}]"
        nai = reader.value(f"{key}.nai", one.nai, check_nai, one.nai.encode())
        reader.need(f"{key}.replay", one.replay in ("", *REPLAY), f"{one.replay} is none of {', '.join(REPLAY)}")
        reader.need(f"{key}.sessions", 0 < one.sessions <= 65536, "outside 1..65536")
        association = reader.association(key, one)
        aaa = {} if one.aaa is None else {one.aaa.spi: reader.aaa_association(f"{key}.aaa", one.aaa)}
        if nai in found:
            known, style = found[nai], REPLAY[found[nai].nonces]
            reader.need(f"{key}.spi", one.spi not in known.associations, f"{one.spi} twice for {nai}")
            reader.need(f"{key}.aaa.spi", not aaa.keys() & known.aaa.keys(), f"{[*aaa]} twice for {nai}")
            reader.need(f"{key}.replay", one.replay in ("", style), f"{nai} has {style} already")
            known.associations[one.spi] = association
            known.aaa.update(aaa)
            continue
        addresses = {}
        for sub_nai, text in one.addresses.items():
            if sub_nai:
                reader.value(f"{key}.addresses", None, check_sub_nai, sub_nai.encode())
            address = reader.address(f"{key}.addresses", text)
            reader.need(f"{key}.addresses", address not in taken, f"{text} is {taken.get(address)}'s already")
            inside = any(in_prefix(address, *network.prefix) for network in networks)
            reader.need(f"{key}.addresses", inside, f"{show(address)} is in no home network")
            taken[address] = nai
            addresses[sub_nai] = address
        nonces = one.replay == "nonces"
        found[nai] = Subscriber(nai, {one.spi: association}, one.sessions, addresses, aaa, nonces)
    return found


def _peers(reader: Reader, key: str, entries: list[_Peer]) -> dict[int, SecurityAssociation]:
    found: dict[int, SecurityAssociation] = {}
    for at, one in enumerate(entries):
        address = reader.address(f"{key}[{at}].address", one.address)
        reader.need(f"{key}[{at}].address", address not in found, f"{one.address} twice")
        found[address] = reader.association(f"{key}[{at}]", one)
    return found
