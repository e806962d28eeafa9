"""What both agents' TOML files have in common, and the home agent's, checked key by key: the policy of its engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from host_agents.encapsulation import ASKED_FOR
from host_agents.home_agent.policy import HomeNetwork, Subscriber
from host_agents.home_agent.policy import Policy as HomeAgentPolicy
from host_agents.runtime.config_reader import Key, Reader, Section
from mip4.address import in_prefix, parse, parse_prefix, show
from mip4.authentication import SecurityAssociation
from mip4.const import PORT
from mip4.nai import check_nai, check_sub_nai

DATAPATHS = ("auto", "bpf", "ipip", "tun", "none")
LOGS = ("text", "json")
REPLAY = ("timestamps", "nonces")
_EVERYWHERE = (0, 0)  # stands in for a prefix that is none
_NARROWEST = 8  # prefix length of the largest home network


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


class _HomeAgentSection(AgentSection, kw_only=True):
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


class Peer(Key, kw_only=True):
    """The association with an agent of the other kind."""

    address: str


class _Radius(Section):
    server: str
    secret: str
    timeout: float = 2.0
    tries: int = 3
    cache: int = 3600
    sessions: int = 8


class _HomeAgentFile(Section):
    home_agent: _HomeAgentSection
    network: list[_Network]
    subscriber: list[_Subscriber] = []
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
    """Where subscribers are asked for who are not in the file (RFC 2865). timeout, cache: seconds.

    server: address and port. sessions: of each such subscriber.
    """

    server: tuple[str, int]
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
        asks=file.radius is not None,
    )
    radius = None if file.radius is None else _radius(reader, file.radius)
    keys = [one.key for one in (*file.subscriber, *file.foreign_agent)]
    keys += [one.aaa.key for one in file.subscriber if one.aaa is not None]
    keys += [file.radius.secret] if file.radius is not None else []
    common = read_common(reader, section, "home_agent", keys)
    reader.finish()
    return HomeAgentConfig(common, policy, section.port, radius)


def _radius(reader: Reader, section: _Radius) -> Radius:
    host, _, port = section.server.partition(":")
    reader.value("radius.server", 0, parse, host)
    reader.need("radius.server", not port or (port.isdecimal() and 0 < int(port) < 65536), f"{port} is no port")
    reader.need("radius.timeout", 0.1 <= section.timeout <= 30, "outside 0.1..30 seconds")
    reader.need("radius.tries", 0 < section.tries <= 10, "outside 1..10")
    reader.need("radius.cache", 60 <= section.cache <= 604_800, "outside 60..604800 seconds")
    reader.need("radius.sessions", 0 < section.sessions <= 4096, "outside 1..4096")
    secret = reader.secret("radius.secret", section.secret)
    server = (host, int(port) if port.isdecimal() else 1812)
    return Radius(server, secret, section.timeout, section.tries, section.cache, section.sessions)


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


def read_peers(reader: Reader, key: str, entries: list[Peer]) -> dict[int, SecurityAssociation]:
    found: dict[int, SecurityAssociation] = {}
    for at, one in enumerate(entries):
        address = reader.address(f"{key}[{at}].address", one.address)
        reader.need(f"{key}[{at}].address", address not in found, f"{one.address} twice")
        found[address] = reader.association(f"{key}[{at}]", one)
    return found
