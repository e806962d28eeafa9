"""RFC 2006's names (MIP-MIB) for what /metrics counts. `python -m host_agents.web.mib` writes docs/metrics.md."""

from __future__ import annotations

_HA_SENT, _FA_SENT = "entourage_ha_replies_sent_total", "entourage_fa_replies_sent_total"


def _ha(code: int) -> str:
    return f'{_HA_SENT}{{kind="registration",code="{code}"}}'


def _fa(*codes: int) -> str:
    if len(codes) == 1:
        return f'{_FA_SENT}{{code="{codes[0]}"}}'
    return f'{_FA_SENT}{{code=~"{"|".join(map(str, codes))}"}}'


_BOTH = {
    "maAdvertisementsSent": "entourage_advertisements_sent_total",
    "maAdvsSentForSolicitation": 'entourage_advertisements_sent_total{to="one"}',
    "maSolicitationsReceived": "entourage_solicitations_received_total",
    "mipSecTotalViolations": 'entourage_dropped_messages_total{reason="bad-authenticator"}',
}

# Object -> what to ask Prometheus for. Of one that is a sum, sum() it.
HOME_AGENT = {
    "haRegistrationAccepted": _ha(0),
    "haMultiBindingUnsupported": _ha(1),
    "haReasonUnspecified": _ha(128),
    "haAdmProhibited": _ha(129),
    "haInsufficientResource": _ha(130),
    "haMNAuthenticationFailure": _ha(131),
    "haFAAuthenticationFailure": _ha(132),
    "haIDMismatch": _ha(133),
    "haPoorlyFormedRequest": _ha(134),
    "haTooManyBindings": _ha(135),
    "haUnknownHA": _ha(136),
    "haGratuitiousARPsSent": 'entourage_ha_arp_sent_total{kind="gratuitous"}',
    "haProxyARPsSent": 'entourage_ha_arp_sent_total{kind="proxy"}',
    "haRegRequestsReceived": 'entourage_ha_requests_received_total{kind="registration"}',
    "haDeRegRequestsReceived": 'entourage_ha_requests_received_total{kind="deregistration"}',
    "haRegRepliesSent": f'{_HA_SENT}{{kind="registration"}}',
    "haDeRegRepliesSent": f'{_HA_SENT}{{kind="deregistration"}}',
    **_BOTH,
}
FOREIGN_AGENT = {
    "faIsBusy": "entourage_fa_busy",
    "faRegistrationRequired": "entourage_fa_registration_required",
    "faRegRequestsReceived": "entourage_fa_requests_received_total",
    "faRegRequestsRelayed": "entourage_fa_requests_relayed_total",
    "faReasonUnspecified": _fa(64),
    "faAdmProhibited": _fa(65),
    "faInsufficientResource": _fa(66),
    "faMNAuthenticationFailure": _fa(67),
    "faRegLifetimeTooLong": _fa(69),
    "faPoorlyFormedRequests": _fa(70),
    "faEncapsulationUnavailable": _fa(72),
    "faHAUnreachable": _fa(78, 80, 81, 82, 88),
    "faRegRepliesRecieved": "entourage_fa_replies_received_total",
    "faRegRepliesRelayed": _FA_SENT,
    "faHAAuthenticationFailure": _fa(68),
    "faPoorlyFormedReplies": _fa(71),
    **_BOTH,
}
ELSEWHERE = {
    "faVJCompressionUnavailable": "never happens: RFC 5944 has no V bit, and this agent ignores it",
    "haMobilityBindingTable": "`entourage ha show bindings --json`; a label for each would be without bound",
    "haCounterTable": "the same: what is counted for one node is no metric; `entourage ha watch --nai NAI` tells it",
    "faVisitorTable": "`entourage fa show visitors --json`",
    "maAdvConfigTable": "settings, in fa.toml",
    "mipSecAssocTable": "settings, in ha.toml and fa.toml; keys are not shown",
    "mipSecViolationTable": "`dropped-bad-authenticator` lines of the log, with the address that sent it",
    "mnState … mnRepliesIgnoredHomeAddress": "the node's: `entourage node status --json`",
}
_HEAD = """# Metrics

`http = "127.0.0.1:8434"` in ha.toml or fa.toml serves them at `/metrics`. `python -m host_agents.web.mib` writes this
page; a test compares it, and asks running agents for every name in it. [monitoring](../host_agents/web/monitoring) has
a Grafana dashboard and alert rules.

Labels are bounded: a code is the one octet of a Registration Reply, kinds and reasons are words of this program,
networks those of the configuration. Nothing is labelled with a NAI, a session or an address of a peer.

"""
_BESIDES = """
## Besides

`entourage_ha_bindings`, `entourage_ha_pool_addresses{network,state}`, `entourage_fa_visitors` and its limit;
`entourage_ha_registration_duration_seconds`, a histogram: from a request's arrival until its reply has left, commit
and kernel included; `entourage_fa_reply_duration_seconds`, the same for a reply that a foreign agent passes on;
`entourage_events_total{kind}` (bound, moved, unbound, denied-CODE, …); `entourage_dropped_messages_total{reason}`,
`entourage_dropped_packets_total{reason}`; `entourage_warnings_total`; `entourage_build_info`,
`entourage_start_time_seconds`.
"""


def page() -> str:
    """docs/metrics.md."""
    parts = [_HEAD]
    for title, table in (("A home agent's", HOME_AGENT), ("A foreign agent's", FOREIGN_AGENT)):
        parts.append(f"## {title}\n\n| RFC 2006 | metric |\n|---|---|\n")
        parts += [f"| {name} | `{metric.replace('|', chr(92) + '|')}` |\n" for name, metric in table.items()]
        parts.append("\n")
    parts.append("## What is no metric\n\n| RFC 2006 | where it is |\n|---|---|\n")
    parts += [f"| {name} | {where} |\n" for name, where in ELSEWHERE.items()]
    parts.append(_BESIDES)
    return "".join(parts)


if __name__ == "__main__":
    print(page(), end="")
