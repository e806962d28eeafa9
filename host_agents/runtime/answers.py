"""What may be asked of a daemon, and who answers: the same over its control socket and over HTTP."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol, TypeVar

from host_agents.runtime.errors import BadRequest, NotAllowed
from host_agents.runtime.where import Where

Request = dict[str, Any]
Document = dict[str, Any]
Reply = Document | AsyncIterator[Document]
_AT_ONCE = 100  # records that are looked at before others have their turn: some milliseconds, where a kernel is asked

T = TypeVar("T")
Shown = TypeVar("Shown", covariant=True)


class Table(Protocol[Shown]):
    """What has records in an order, and knows how many. They may change while they are iterated over."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Shown]: ...


async def unhurried(records: Iterable[T]) -> AsyncIterator[T]:
    """`records`, looked at a few at a time, so that no registration waits for the last of them. They may change."""
    for number, record in enumerate(records, 1):
        yield record
        if not number % _AT_ONCE:
            await asyncio.sleep(0)


async def described(records: Iterable[T], describe: Callable[[T], Iterable[Document]]) -> AsyncIterator[Document]:
    """Made as they are read: a million of them at once would be more memory than the bindings."""
    async for record in unhurried(records):
        for document in describe(record):
            yield document


class Answers:
    """A request is a JSON object with one of the verbs in it: {"show": "bindings", "where": {"nai": …}}."""

    def __init__(self) -> None:
        self._verbs: dict[str, tuple[Callable[[Request], Any], bool]] = {}
        self._shown: dict[str, Callable[[Request], Any]] = {}
        self.add("show", self._show)

    def add(self, verb: str, answer: Callable[[Request], Any], *, changes: bool = False) -> None:
        """answer: gives a Reply, or something to await for one. changes: only for who may."""
        self._verbs[verb] = answer, changes

    def show(self, what: str, document: Callable[[], Any]) -> None:
        """`document` gives what is shown under the name `what`, or something to await for it."""

        async def answer(request: Request) -> Document:
            found = document()
            return {what: await found if inspect.isawaitable(found) else found}

        self._shown[what] = answer

    def list(
        self,
        what: str,
        records: Callable[[], Table[T]],
        holds: Callable[[T, Where], bool],
        describe: Callable[[T], Iterable[Document]],
    ) -> None:
        """Records in a table, those for which `where` holds, and of those `limit` from `offset` on.

        With a limit, `matched` is how many there are. describe: what is shown of one, mostly one document; only called
        for those that are shown.
        """

        async def answer(request: Request) -> Document:
            where = Where.of(request.get("where"))
            limit, first = _number(request, "limit"), _number(request, "offset") or 0
            if where.is_any:
                found, matched = iter(records()), len(records())
            else:
                holding = [record async for record in unhurried(records()) if holds(record, where)]
                found, matched = iter(holding), len(holding)
            shown = described(islice(found, first, None if limit is None else first + limit), describe)
            return {what: shown} if limit is None else {what: shown, "matched": matched}

        self._shown[what] = answer

    async def __call__(self, request: Request, may_change: bool) -> Reply:
        """Raises BadRequest, NotAllowed."""
        reply = await self.piecemeal(request, may_change)
        if isinstance(reply, dict):
            for key, value in reply.items():
                if isinstance(value, AsyncIterator):
                    reply[key] = [document async for document in value]
        return reply

    async def piecemeal(self, request: Request, may_change: bool) -> Reply:
        """The same, in which a table is an AsyncIterator of documents."""
        found = next((verb for verb in request if verb in self._verbs), None)
        if found is None:
            raise BadRequest(f"one of {', '.join(self._verbs)} is needed")
        answer, changes = self._verbs[found]
        if changes and not may_change:
            raise NotAllowed(f"{found}: who asks may only look")
        reply = answer(request)
        finished: Reply = await reply if inspect.isawaitable(reply) else reply
        return finished

    async def _show(self, request: Request) -> Document:
        show = self._shown.get(str(request["show"]))
        if show is None:
            raise BadRequest(f"nothing called {request['show']} to show: there are {', '.join(self._shown)}")
        document: Document = await show(request)
        return document


def _number(request: Request, key: str) -> int | None:
    value = request.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise BadRequest(f"{key} is a number from 0 up")
    return value
