"""The pages of the portal: plain HTML, which a browser without scripts and a text browser show alike."""

import json

from port_esp32.kept import without_secrets

_PAGE = """<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>%s</title><style>body{font:16px sans-serif;margin:1em auto;max-width:44em;padding:0 1em}
table{border-collapse:collapse;width:100%%}td,th{border-bottom:1px solid #ccc;padding:.3em;text-align:left}
nav a{margin-right:1em}input,button,textarea{font:inherit}
textarea{width:100%%}.said{background:#ffc;padding:.5em}</style>
<nav><a href="/">Status</a><a href="/uplinks">Networks</a><a href="/config">Configuration</a></nav><h1>%s</h1>%s%s"""
_RESTART = '<form method=post action="/restart"><button>Start the node again</button></form>'
_ADD = """<h2>Another network, or another password for one</h2><form method=post action="/uplinks">
<p><label>Name <input name=ssid required maxlength=32></label>
<p><label>Password, none for an open one <input name=password type=password></label>
<p><label>Priority <input name=priority type=number min=0 max=255 value=1></label> the highest that can be had is joined
<p><button>Save</button></form>"""
_REMOVE = '<form method=post action="/uplinks"><input type=hidden name=remove value="%s"><button>Remove</button></form>'
_CONFIG = """<p><a href="/config.json" download>Save it</a>: passwords and keys stay here, and come back where a
configuration says &quot;(kept)&quot;.<h2>Bring another</h2><form method=post action="/config">
<p><textarea name=document rows=16 aria-label="config.json">%s</textarea><p><button>Check and save</button></form>
<h2>The password of this page</h2><form method=post action="/password">
<p><label>New <input name=password type=password minlength=8 maxlength=63 required></label>
<button>Save</button></form>"""


def page(title: str, body: str, said: str = "") -> str:
    """said: what came of what was asked for, a line above the rest."""
    told = "<p class=said role=status>%s" % escape(said) if said else ""
    return _PAGE % (title, title, told, body)


def status(document: dict) -> str:
    """document: of the running node."""
    runtime = document["runtime"]
    uplink = runtime["uplink"]
    rows = [
        ("Network", uplink["ssid"] or "none"),
        ("Signal", "" if uplink["rssi"] is None else "%d dBm" % uplink["rssi"]),
        ("Address", uplink["address"] or "none"),
        ("Last trouble", uplink["failed"] or "none"),
        ("Node", document["nai"]),
        ("Home agent", document["home_agent"]),
        ("By way of", document["agent"] or document["mode"] or "nobody"),
        ("Tunnel", document["tunnel"] or document["tunnel_refused"] or "none"),
        ("Packets out, in", "%d, %d" % (runtime["forwarder"]["sent"], runtime["forwarder"]["received"])),
        ("Running for", "%d minutes" % (runtime["uptime_ms"] // 60000)),
        ("Memory free", "%d octets" % runtime["heap_free"]),
    ]
    sessions = [
        (one["sub_nai"] or "the node itself", one["home_address"] or "", one["state"], one["downlink"])
        for one in document["sessions"]
    ]
    refused = "".join(["<p class=said>%s" % escape(line) for line in runtime["refused"]])
    return (
        refused
        + "<h2>Sessions</h2>"
        + table(("Name", "Home address", "State", "On"), sessions)
        + "<h2>Node</h2>"
        + table((), rows)
        + '<p><a href="/">Look again</a>'
        + _RESTART
    )


def uplinks(config: dict) -> str:
    """config: the document."""
    rows = [
        (escape(one["ssid"]), str(one.get("priority", 0)), "yes" if one.get("password") else "no",
         _REMOVE % escape(one["ssid"]))
        for one in config["uplinks"]
    ]  # fmt: skip
    return table(("Name", "Priority", "Password", ""), rows, True) + _ADD + _RESTART


def configuration(document: dict) -> str:
    return _CONFIG % escape(json.dumps(without_secrets(document))) + _RESTART


def table(heads: tuple, rows: list, is_html: bool = False) -> str:
    found = "".join(["<th scope=col>%s" % head for head in heads])
    for row in rows:
        found += "<tr>" + "".join(["<td>%s" % (one if is_html else escape(one)) for one in row])
    return "<table>%s</table>" % found


def escape(text: str) -> str:
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return text
