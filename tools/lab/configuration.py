"""Writes what the programs of a world read: ha.toml, fa.toml, node.json, with fresh keys each time; udhcpd.conf."""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Iterable, Mapping

from tools.lab import plan as places
from tools.lab.plan import NodePlan, WorldPlan

_SPI = 256
_AGENT_SPI = 512
DHCP_SERVER, DHCP_PID = "udhcpd.conf", "udhcpd.pid"

Table = Mapping[str, object]


def write(plan: WorldPlan) -> dict[str, str]:
    """Path below the run directory -> content. Nodes that share an NAI share its key."""
    keys = {nai: _key() for nai in dict.fromkeys(node.nai for node in plan.nodes)}
    agent_keys = {name: _key() for name in places.FOREIGN_AGENTS}
    files = {"ha/ha.toml": _home_agent(plan, keys, agent_keys)}
    for name in places.FOREIGN_AGENTS:
        files[f"{name}/fa.toml"] = _foreign_agent(plan, name, agent_keys[name])
    for name in places.VISITED_LINKS:
        files[f"{name}/{DHCP_SERVER}"] = _dhcp_server(name)
        files[f"{name}/udhcpd.leases"] = ""
    for node in plan.nodes:
        files[f"{node.name}/node.json"] = json.dumps(_node(plan, node, keys[node.nai]), indent=1)
    return files


def _key() -> str:
    return "hex:" + secrets.token_hex(16)


def _home_agent(plan: WorldPlan, keys: Mapping[str, str], agent_keys: Mapping[str, str]) -> str:
    agent: Table = {
        "address": places.HOME_AGENT,
        "state": "ha.sqlite",
        "control": "ha.sock",
        "datapath": "auto",
        "lifetime": plan.lifetime,
        **plan.home_agent,
    }
    network: Table = {
        "prefix": plan.home_prefix,
        "pool": plan.pool,
        "gateway": places.HOME_GATEWAY,
        "dns": [places.DNS_SERVER],
        **({"interface": "home0"} if plan.home_link else {}),
        **plan.network,
    }
    tables: list[tuple[str, Table]] = [("[home_agent]", agent), ("[[network]]", network)]
    for nai, key in keys.items():
        subscriber: Table = {"nai": nai, "spi": _SPI, "key": key, "sessions": 8, **plan.subscribers.get(nai, {})}
        tables.append(("[[subscriber]]", subscriber))
    for name, key in agent_keys.items():
        association: Table = {"address": places.NETWORKS[name][0], "spi": _AGENT_SPI, "key": key}
        tables.append(("[[foreign_agent]]", association))
    return _toml([*tables, *_further(plan.home_agent_tables)])


def _foreign_agent(plan: WorldPlan, name: str, key: str) -> str:
    agent: Table = {
        "care_of_address": places.NETWORKS[name][0],
        "interfaces": ["vis0"],
        "state": "fa.sqlite",
        "control": "fa.sock",
        "datapath": "auto",
        "lifetime": plan.lifetime,
        "advertise_interval": plan.advertise_interval,
        **plan.foreign_agent,
    }
    association: Table = {"address": places.HOME_AGENT, "spi": _AGENT_SPI, "key": key}
    usual: list[tuple[str, Table]] = [("[foreign_agent]", agent), ("[[home_agent]]", association)]
    return _toml([*usual, *_further(plan.foreign_agent_tables)])


def _further(tables: Iterable[tuple[str, Table]]) -> list[tuple[str, Table]]:
    return [(f"[[{name}]]", table) for name, table in tables]


def _dhcp_server(name: str) -> str:
    """Paths are relative to the place's folder. A node on the link is a guest like others: nothing is reserved."""
    address, prefix = places.VISITED_LINKS[name]
    router = address.split("/")[0]
    network = router.rpartition(".")[0]
    lines = [
        "interface vis0",
        f"start {network}.20",
        f"end {network}.250",
        "lease_file udhcpd.leases",
        f"pidfile {DHCP_PID}",
        f"option subnet {ipaddress.ip_network(prefix).netmask}",
        f"option router {router}",
        f"option dns {places.DNS_SERVER}",
        "option lease 600",
    ]
    return "\n".join([*lines, ""])


def _node(plan: WorldPlan, node: NodePlan, key: str) -> dict[str, object]:
    return {
        "nai": node.nai,
        "home_agent": places.HOME_AGENT,
        "spi": _SPI,
        "key": key,
        "lifetime": plan.lifetime,
        "uplinks": [{"interface": "up0", "address": node.address}],
        "downlinks": [
            {"interface": "down0", "kind": "ethernet"},
            *({"device": f"line-{device}", "kind": "slip", "name": device} for device in node.serial),
        ],
        "names": {places.device_link_address(device): places.device_name(device) for device in node.devices},
        "control": "node.sock",
        **node.settings,
    }


def _toml(tables: Iterable[tuple[str, Table]]) -> str:
    lines: list[str] = []
    for header, table in tables:
        lines += [header, *(f"{key} = {_value(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _value(value: object) -> str:
    """TOML reads JSON's strings, numbers, booleans and lists; tables it writes in its own way."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return json.dumps(value)
