"""Metrics as Prometheus sees them: every name is there, the page in docs is true, rules and dashboard know them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from host_agents.effects import Said
from host_agents.runtime.answers import Answers
from host_agents.runtime.journal import Journal
from host_agents.runtime.meters import Meters
from host_agents.web import mib
from host_agents.web.metrics import exposition
from mip4.address import parse
from mip4.messages import RegistrationReply, RegistrationRequest

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "host_agents" / "web" / "monitoring"
RULES, DASHBOARD = MONITORING / "alerts.yml", MONITORING / "grafana.json"
NAMES = re.compile(r"\bentourage_\w+")
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
# RFC 2006's own list, spelt as it spells them.
RFC_2006 = re.findall(r"\w+", """
haRegistrationAccepted haMultiBindingUnsupported haReasonUnspecified haAdmProhibited haInsufficientResource
haMNAuthenticationFailure haFAAuthenticationFailure haIDMismatch haPoorlyFormedRequest haTooManyBindings haUnknownHA
haGratuitiousARPsSent haProxyARPsSent haRegRequestsReceived haDeRegRequestsReceived haRegRepliesSent
haDeRegRepliesSent faIsBusy faRegistrationRequired faRegRequestsReceived faRegRequestsRelayed faReasonUnspecified
faAdmProhibited faInsufficientResource faMNAuthenticationFailure faRegLifetimeTooLong faPoorlyFormedRequests
faEncapsulationUnavailable faVJCompressionUnavailable faHAUnreachable faRegRepliesRecieved faRegRepliesRelayed
faHAAuthenticationFailure faPoorlyFormedReplies maAdvertisementsSent maAdvsSentForSolicitation
maSolicitationsReceived mipSecTotalViolations
""")  # fmt: skip


def an_agent(role: str) -> Any:
    """What metrics ask of a daemon, with its real meters, journal and answers."""
    answers = Answers()
    status = {"version": "1", "bindings": 3, "visitors": 2, "capacity": 9, "busy": False, "registration_required": True}
    answers.show("status", lambda: status)
    pool = {"network": "10.10.0.0/24", "bound": 3, "reserved": 1, "free": 237}
    answers.show("pools", lambda: [pool])
    datapath = SimpleNamespace(dropped={"no tunnel": 4})
    meters, journal = Meters(), Journal()
    journal.said(Said("info", "bound", "bound nai=a@x"), 0)
    return SimpleNamespace(role=role, answers=answers, datapath=datapath, meters=meters, journal=journal, began=1.0)


def scraped(agent: Any) -> dict[str, list[Any]]:
    """Name of a sample -> its samples."""
    found: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(asyncio.run(exposition(agent)).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(agent: Any, name: str, **labels: str) -> float:
    return sum(one.value for one in scraped(agent)[name] if labels.items() <= one.labels.items())


def test_every_counter_of_rfc_2006_is_mapped_or_says_where_it_is() -> None:
    assert set(RFC_2006) <= {*mib.HOME_AGENT, *mib.FOREIGN_AGENT, *mib.ELSEWHERE}


@pytest.mark.parametrize(("role", "table"), [("ha", mib.HOME_AGENT), ("fa", mib.FOREIGN_AGENT)])
def test_what_they_are_mapped_to_is_there(role: str, table: dict[str, str]) -> None:
    found = scraped(an_agent(role))

    for name, metric in table.items():
        base, _, labels = metric.partition("{")
        assert base in found, name
        assert set(re.findall(r"(\w+)=", labels)) <= found[base][0].labels.keys(), name


def test_the_page_in_docs_is_what_the_table_says() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == mib.page()


def test_messages_are_counted_by_what_they_are() -> None:
    agent = an_agent("ha")
    fields = (0, parse("10.10.0.1"), parse("192.0.2.1"))
    for lifetime in (300, 300, 0):
        agent.meters.received.count(RegistrationRequest(0, lifetime, *fields[1:], 1, 1, []).encode())
    for code, lifetime in ((0, 300), (131, 300), (0, 0)):
        agent.meters.sent.count(RegistrationReply(code, lifetime, *fields[1:], 1, []).encode())
    for nonsense in (b"", b"\1", b"\x07" * 50):
        agent.meters.received.count(nonsense)
    for seconds in (0.0004, 0.02, 9.0):
        agent.meters.registrations.took(seconds)

    assert value(agent, "entourage_ha_requests_received_total", kind="registration") == 2
    assert value(agent, "entourage_ha_requests_received_total", kind="deregistration") == 1
    assert value(agent, "entourage_ha_replies_sent_total", code="131") == 1
    assert value(agent, "entourage_ha_replies_sent_total", kind="deregistration") == 1
    histogram = "entourage_ha_registration_duration_seconds"
    counts = [value(agent, f"{histogram}_bucket", le=bound) for bound in ("0.0005", "0.025", "2.5", "+Inf")]
    assert counts == [1, 2, 2, 3]
    assert value(agent, f"{histogram}_count") == 3
    assert agent.meters.sent.answered() == (2, 1)


@needs_promtool
@pytest.mark.parametrize("role", ["ha", "fa"])
def test_promtool_finds_nothing_to_say_about_the_metrics(role: str) -> None:
    text = asyncio.run(exposition(an_agent(role)))

    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)

    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


@needs_promtool
def test_the_alerts_are_rules_and_ask_for_metrics_that_there_are() -> None:
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert set(NAMES.findall(RULES.read_text())) <= scraped(an_agent("ha")).keys() | scraped(an_agent("fa")).keys()


@needs_promtool
def test_an_almost_full_pool_and_a_silent_foreign_agent_are_told(tmp_path: Path) -> None:
    story = tmp_path / "story.yml"
    story.write_text(f"""
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'entourage_ha_pool_addresses{{instance="a", network="n", state="free"}}', values: '5x30'}}
      - {{series: 'entourage_ha_pool_addresses{{instance="a", network="n", state="bound"}}', values: '95x30'}}
      - {{series: 'entourage_advertisements_sent_total{{instance="f", to="all"}}', values: '0+60x10 600x20'}}
      - {{series: 'entourage_fa_visitors_limit{{instance="f"}}', values: '9x30'}}
      - {{series: 'entourage_advertisements_sent_total{{instance="a", to="all"}}', values: '0x30'}}
    alert_rule_test:
      - {{eval_time: 5m, alertname: EntouragePoolAlmostFull, exp_alerts: []}}
      - eval_time: 15m
        alertname: EntouragePoolAlmostFull
        exp_alerts:
          - exp_labels: {{severity: warning, instance: a, network: n}}
            exp_annotations:
              summary: "a: fewer than 10 % of the addresses of n are free"
              description: New sessions get Reply code 130 when none is left. Enlarge `pool`, or lower `lifetime`.
      - {{eval_time: 10m, alertname: EntourageNoAdvertisements, exp_alerts: []}}
      - eval_time: 25m
        alertname: EntourageNoAdvertisements
        exp_alerts:
          - exp_labels: {{severity: critical, instance: f, to: all}}
            exp_annotations:
              summary: "f: no Agent Advertisement has left"
              description: Nodes do not find this foreign agent. Is its visited link up?
""")

    done = subprocess.run(["promtool", "test", "rules", story], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_every_panel_of_the_dashboard_asks_something_that_prometheus_understands(tmp_path: Path) -> None:
    board = json.loads(DASHBOARD.read_text())
    asked = [target["expr"].replace("$instance", ".*") for panel in board["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))

    done = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.json"], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    known = scraped(an_agent("ha")).keys() | scraped(an_agent("fa")).keys()
    assert set(NAMES.findall(" ".join(asked))) <= known
