"""What is served: the page and its parts, the API, the metrics. The API has the same handlers as the control socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from host_agents.runtime.daemon import Daemon
from host_agents.runtime.errors import BadRequest, NotAllowed
from host_agents.web.guard import Guard, has_token
from host_agents.web.metrics import CONTENT_TYPE, exposition
from host_agents.web.page import Page
from host_agents.web.ticker import Ticker

_LONGEST = 4096  # octets of a request's body
_HERE = Path(__file__).parent


def make_app(daemon: Daemon, ticker: Ticker, token: str, names: Collection[str]) -> ASGIApp:
    """token: what who changes anything has to show. names: as of Guard."""
    page = Page(daemon, ticker)

    async def index(request: Request) -> Response:
        return _html(await page.whole())

    async def rows(request: Request) -> Response:
        query = request.query_params
        offset = _number(query.get("offset", "0"))
        return _html(await page.rows(query.get("search", ""), offset if isinstance(offset, int) else 0))

    async def live(request: Request) -> Response:
        return StreamingResponse(ticker.stream(), media_type="text/event-stream")

    async def metrics(request: Request) -> Response:
        return Response(await exposition(daemon), media_type=CONTENT_TYPE)

    async def show(request: Request) -> Response:
        where: dict[str, Any] = dict(request.query_params)  # of which whoever answers refuses what is no filter
        asked: dict[str, Any] = {"show": request.path_params["what"], "where": where}
        for key in ("limit", "offset"):
            if key in where:
                asked[key] = _number(where.pop(key))
        return await _answer(daemon, asked, False)

    async def api(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "content-type has to be application/json"}, 415)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST:
                return JSONResponse({"error": f"more than {_LONGEST} octets"}, 413)
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            return JSONResponse({"error": f"bad request: {error}"}, 400)
        if not isinstance(asked, dict):
            return JSONResponse({"error": "not a JSON object"}, 400)
        return await _answer(daemon, asked, has_token(request.headers, token))

    def route(path: str, endpoint: Callable[[Request], Awaitable[Response]], *methods: str) -> Route:
        return Route(path, endpoint, methods=list(methods or ("GET",)))

    app = Starlette(
        routes=[
            route("/", index),
            route("/rows", rows),
            route("/live", live),
            route("/metrics", metrics),
            route("/api/show/{what}", show),
            route("/api", api, "POST"),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ]
    )
    return Guard(app, names)


async def _answer(daemon: Daemon, asked: dict[str, Any], may_change: bool) -> Response:
    try:
        reply = await daemon.answers(asked, may_change)
    except BadRequest as error:
        return JSONResponse({"error": str(error)}, 400)
    except NotAllowed:
        return JSONResponse({"error": "that needs the token"}, 401, {"www-authenticate": "Bearer"})
    if isinstance(reply, dict):
        return Response(msgspec.json.encode(reply), media_type="application/json")
    return StreamingResponse(_lines(reply), media_type="application/x-ndjson")


async def _lines(documents: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    async for document in documents:
        yield msgspec.json.encode(document) + b"\n"


def _html(text: str) -> Response:
    return Response(text, media_type="text/html; charset=utf-8")


def _number(text: str) -> int | str:
    """What is none stays what it is, for whoever answers to refuse."""
    return int(text) if text.isdecimal() and len(text) < 10 else text
