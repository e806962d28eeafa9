"""What both agents' TOML files have in common, checked key by key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from host_agents.runtime.config_reader import Key, Reader, Section
from mip4.authentication import SecurityAssociation

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


class Peer(Key, kw_only=True):
    """The association with an agent of the other kind."""

    address: str


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


def read_common(reader: Reader, section: AgentSection, name: str, keys: list[str]) -> Common:
    """name: of the agent's table. keys: all that the file has, as they are written there."""
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
        path=reader.path,
        state=reader.beside(section.state),
        control=control,
        group_may_read=section.group_may_read,
        http=http,
        http_token=reader.beside(section.http_token or f"{section.state}.token"),
        http_names=tuple(section.http_names),
        log=section.log,
        datapath=section.datapath,
        device=section.device,
        warnings=tuple(warnings),
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


def read_peers(reader: Reader, key: str, entries: list[Peer]) -> dict[int, SecurityAssociation]:
    """By the agent's address. key: of the entries' table, for complaints."""
    found: dict[int, SecurityAssociation] = {}
    for at, one in enumerate(entries):
        address = reader.address(f"{key}[{at}].address", one.address)
        reader.need(f"{key}[{at}].address", address not in found, f"{one.address} twice")
        found[address] = reader.association(f"{key}[{at}]", one)
    return found
