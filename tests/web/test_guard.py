"""Who may ask what over HTTP. The guard is asked as a server would ask it, without a socket."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from host_agents.runtime.errors import ConfigurationError
from host_agents.web.guard import Guard, has_token
from host_agents.web.server import make_token


def asked(**headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a request with these."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": raw}
    asyncio.run(Guard(PlainTextResponse("yes"), ["router.example.net"])(scope, receive, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize("host", ["127.0.0.1:8434", "[::1]:8434", "192.0.2.1", "localhost:8434", "Router.example.net"])
def test_an_address_and_a_name_of_ours_are_answered(host: str) -> None:
    status, headers = asked(host=host, origin=f"http://{host}", sec_fetch_site="same-origin")

    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8434", "", "[evil]:80", "evil.example#127.0.0.1"]
)
def test_a_name_that_somebody_else_pointed_at_us_is_not(host: str) -> None:
    assert asked(host=host)[0] == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
    ],
)
def test_another_site_may_not_ask_through_a_browser(headers: dict[str, str]) -> None:
    assert asked(host="127.0.0.1:8434", **headers)[0] == 403


def test_only_the_token_itself_is_the_token() -> None:
    assert has_token(Headers({"authorization": "Bearer sesame"}), "sesame")
    for given in ("", "Bearer ", "Bearer sesam", "Bearer sesame2", "Bearer sésame"):
        assert not has_token(Headers({"authorization": given}), "sesame")


def test_the_token_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "ha.token"

    token = make_token(path)

    assert len(token) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_token(path) == token
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"http_token: .*ha.token is open to others"):
        make_token(path)
    path.chmod(0o600)
    path.write_text("short\n")
    with pytest.raises(ConfigurationError, match="fewer than 16"):
        make_token(path)
