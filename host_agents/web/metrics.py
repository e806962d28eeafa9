"""`/metrics` in Prometheus' text format. docs/metrics.md lists them beside the names that RFC 2006 has for them.

No label takes a value that a peer chooses: codes, kinds and reasons are ours, networks the operator's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from host_agents.runtime.answers import Document
from host_agents.runtime.daemon import Daemon
from host_agents.runtime.meters import BOUNDS, Durations, Messages
from mip4.const import ICMP_ADVERTISEMENT, ICMP_SOLICITATION

CONTENT_TYPE = CONTENT_TYPE_LATEST
_KINDS = ("deregistration", "registration")
_DROPPED = "dropped-"


async def exposition(daemon: Daemon) -> bytes:
    """All of them, as they are now."""
    status = await _shown(daemon, "status")
    families = [*_common(daemon, status), *(await _OF_ROLE[daemon.role](daemon, status))]
    registry = CollectorRegistry()
    registry.register(_Now(families))
    return generate_latest(registry)


class _Now(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _common(daemon: Daemon, status: Document) -> Iterator[Metric]:
    build = GaugeMetricFamily("entourage_build_info", "Always 1.", labels=("role", "version"))
    build.add_metric((daemon.role, str(status["version"])), 1)
    yield build
    yield GaugeMetricFamily("entourage_start_time_seconds", "When the daemon started, since 1970.", daemon.began)
    counts = daemon.journal.counts
    warnings = "Warnings about this machine, each a line of the log."
    yield CounterMetricFamily("entourage_warnings", warnings, counts["warning"])
    events = {kind: count for kind, count in counts.items() if not kind.startswith(_DROPPED) and kind != "warning"}
    yield _counters("entourage_events", "Events by their kind.", "kind", events)
    dropped = {kind.removeprefix(_DROPPED): count for kind, count in counts.items() if kind.startswith(_DROPPED)}
    dropped = {"bad-authenticator": 0, **dropped}
    yield _counters("entourage_dropped_messages", "Messages that deserve no answer.", "reason", dropped)
    packets = dict(daemon.datapath.dropped)
    yield _counters("entourage_dropped_packets", "Packets that were not carried.", "reason", packets)
    sent = daemon.meters.nodes_sent.icmp
    advertised = {"all": sent[ICMP_ADVERTISEMENT, False], "one": sent[ICMP_ADVERTISEMENT, True]}
    yield _counters("entourage_advertisements_sent", "To all on a link, or to one that asked.", "to", advertised)
    solicited = daemon.meters.nodes_received.icmp[ICMP_SOLICITATION, False]
    yield CounterMetricFamily("entourage_solicitations_received", "Agent Solicitations.", solicited)


async def _home_agent(daemon: Daemon, status: Document) -> list[Metric]:
    pools = GaugeMetricFamily(
        "entourage_ha_pool_addresses", "Addresses of a home network's pool.", labels=("network", "state")
    )
    for pool in await _shown(daemon, "pools"):
        for state in ("bound", "reserved", "free"):
            pools.add_metric((pool["network"], state), pool[state])
    arp = _counters("entourage_ha_arp_sent", "ARP for addresses that are away.", "kind", daemon.meters.arp)
    meters = daemon.meters
    return [
        GaugeMetricFamily("entourage_ha_bindings", "Sessions that are registered.", status["bindings"]),
        pools,
        arp,
        _requests("entourage_ha_requests_received", "Registration Requests that came.", meters.received),
        _replies("entourage_ha_replies_sent", "Registration Replies, by their code.", meters.sent),
        _durations("entourage_ha_registration_duration", "From a request to its reply.", meters.registrations),
    ]


async def _foreign_agent(daemon: Daemon, status: Document) -> list[Metric]:
    meters = daemon.meters
    busy, required = "Whether no new visitor is taken.", "Whether nodes have to register here."
    return [
        GaugeMetricFamily("entourage_fa_visitors", "Sessions that are registered through here.", status["visitors"]),
        GaugeMetricFamily("entourage_fa_visitors_limit", "The most there may be.", status["capacity"]),
        GaugeMetricFamily("entourage_fa_busy", busy, int(status["busy"])),
        GaugeMetricFamily("entourage_fa_registration_required", required, int(status["registration_required"])),
        _requests("entourage_fa_requests_received", "Registration Requests of nodes.", meters.nodes_received),
        _requests("entourage_fa_requests_relayed", "Those that went on to a home agent.", meters.sent),
        _replies("entourage_fa_replies_received", "Registration Replies of home agents, by code.", meters.received),
        _replies("entourage_fa_replies_sent", "Replies to nodes, passed on or our own, by code.", meters.nodes_sent),
        _durations(
            "entourage_fa_reply_duration", "From a reply's arrival until it is passed on.", meters.registrations
        ),
    ]


_OF_ROLE = {"ha": _home_agent, "fa": _foreign_agent}


async def _shown(daemon: Daemon, what: str) -> Any:
    found = await daemon.answers({"show": what}, False)
    assert isinstance(found, dict)
    return found[what]


def _counters(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in sorted(counts.items()):
        family.add_metric((value,), count)
    return family


def _requests(name: str, text: str, messages: Messages) -> Metric:
    return _counters(name, text, "kind", dict(zip(_KINDS, messages.requests, strict=True)))


def _replies(name: str, text: str, messages: Messages) -> Metric:
    family = CounterMetricFamily(name, text, labels=("kind", "code"))
    for (code, registering), count in sorted({(0, True): 0, **messages.replies}.items()):
        family.add_metric((_KINDS[registering], str(code)), count)
    return family


def _durations(name: str, text: str, durations: Durations) -> Metric:
    names = [*map(str, BOUNDS), "+Inf"]
    buckets = list(zip(names, accumulate(durations.buckets), strict=True))
    return HistogramMetricFamily(f"{name}_seconds", text, buckets, durations.sum)
