"""What may be asked of a daemon, by whom, and what is told as it happens: over a real socket, without a daemon."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from host_agents.effects import Said
from host_agents.runtime import control
from host_agents.runtime.answers import Answers
from host_agents.runtime.control import ControlSocket
from host_agents.runtime.control_client import ask, copy
from host_agents.runtime.errors import BadRequest
from host_agents.runtime.journal import Journal
from host_agents.runtime.where import Where
from mip4.address import parse

ASK = """
import os, socket, sys
if os.geteuid() != int(sys.argv[2]):
    os.setgroups([])
    os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    client.sendall(b'{"show": "things"}\\n{"change": true}\\n')
    lines = client.makefile()
    print(lines.readline(), lines.readline(), sep="", end="")
"""


def some_answers() -> Answers:
    answers = Answers()
    answers.list(
        "things", lambda: list(range(2000)), lambda one, where: where.search in str(one), lambda one: [{"n": one}]
    )
    answers.add("change", lambda _: {"changed": True}, changes=True)
    return answers


@pytest.fixture
def folder() -> Iterator[Path]:
    """That others may enter, as pytest's own may not be."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def serving(path: Path, answers: Answers, then: Callable[[], Awaitable[Any]], group_may_read: bool = False) -> Any:
    """What `then` gives while the socket is open."""

    async def story() -> Any:
        control = ControlSocket(path, answers, group_may_read)
        await control.open()
        try:
            return await asyncio.wait_for(then(), 20)
        finally:
            await control.close()

    return asyncio.run(story())


def asked_by(uid: int, path: Path) -> Callable[[], Awaitable[list[dict[str, Any]]]]:
    """Both answers that a process of that user, in our group, gets."""

    async def ask_them() -> list[dict[str, Any]]:
        command = [sys.executable, "-c", ASK, str(path), str(uid)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask_them


def test_its_owner_may_look_and_change(folder: Path) -> None:
    looked, changed = serving(folder / "s", some_answers(), asked_by(os.geteuid(), folder / "s"))

    assert len(looked["things"]) == 2000
    assert changed == {"changed": True}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_its_group_may_look_and_not_change(folder: Path) -> None:
    looked, changed = serving(folder / "s", some_answers(), asked_by(65534, folder / "s"), group_may_read=True)

    assert len(looked["things"]) == 2000
    assert changed == {"error": "change: who asks may only look"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_nobody_else_may_even_open_it_unless_the_operator_says_so(folder: Path) -> None:
    with pytest.raises(AssertionError, match="Permission denied"):
        serving(folder / "s", some_answers(), asked_by(65534, folder / "s"))


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ({"limit": 3, "offset": 7}, ([7, 8, 9], 2000)),
        ({"where": {"search": "199"}, "limit": 2}, ([199, 1199], 12)),
        ({"where": {"search": "199"}, "limit": 5, "offset": 10}, ([1998, 1999], 12)),
        ({"where": {}, "limit": 0}, ([], 2000)),
    ],
)
def test_a_part_of_a_table_comes_with_how_much_there_is(request_: dict[str, Any], shown: tuple[list[int], int]) -> None:
    reply = asyncio.run(some_answers()({"show": "things", **request_}, False))

    assert isinstance(reply, dict)
    assert ([one["n"] for one in reply["things"]], reply["matched"]) == shown


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"show": "nothing"},
        {"show": []},
        {"show": "things", "where": 7},
        {"show": "things", "where": {"colour": "red"}},
        {"show": "things", "where": {"address": "192.0.2"}},
        {"show": "things", "where": {"nai": 7}},
        {"show": "things", "limit": -1},
        {"show": "things", "offset": True},
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_a_line(request_: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        asyncio.run(some_answers()(request_, True))

    assert len(str(refused.value).splitlines()) == 1


def test_a_line_that_is_no_json_is_answered_and_the_next_one_too(folder: Path) -> None:
    async def both() -> list[bytes]:
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        writer.write(b'{"show"\n' + b"[" * 4000 + b'\n[]\n{"change": 1}\n')
        lines = [await reader.readline() for _ in range(4)]
        writer.close()
        return lines

    first, deep, second, third = map(json.loads, serving(folder / "s", some_answers(), both))

    assert first["error"].startswith("bad request: ")
    assert deep["error"].startswith("bad request: ")
    assert second == {"error": "not a JSON object"}
    assert third == {"changed": True}


def test_who_watches_is_told_what_happens_of_whom_he_asks_about(folder: Path) -> None:
    journal, answers = Journal(), some_answers()
    answers.add("watch", lambda request: journal.events.watch(Where.of(request.get("where"))))

    async def watching() -> list[dict[str, Any]]:
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        writer.write(b'{"watch": true, "where": {"nai": "a@x"}}\n')
        while not journal.events.watchers:
            await asyncio.sleep(0)
        for nai in ("b@x", "a@x"):
            journal.said(Said("info", "bound", f"bound nai={nai} sub_nai='two words' home=10.0.0.1: kind=of"), 0)
        told = [json.loads(await reader.readline())]
        writer.write(b'{"show": "things", "limit": 0}\n')  # another word ends it
        told.append(json.loads(await reader.readline() or b"{}"))
        writer.close()
        return told

    event, rest = serving(folder / "s", answers, watching)

    assert {key: event[key] for key in ("kind", "level", "nai", "sub_nai", "home")} == {
        "kind": "bound", "level": "info", "nai": "a@x", "sub_nai": "two words", "home": "10.0.0.1",
    }  # fmt: skip
    assert rest == {}
    assert not journal.events.watchers


def test_who_does_not_keep_up_loses_the_oldest_and_learns_how_many() -> None:
    journal = Journal()

    async def slow() -> list[dict[str, Any]]:
        told = journal.events.watch(Where())
        first = asyncio.ensure_future(anext(told))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        for number in range(1030):
            journal.said(Said("info", "bound", f"bound number={number}"), 0)
        return [await first, await anext(told)]

    missed, oldest = asyncio.run(slow())

    assert missed == {"kind": "missed", "count": 6}
    assert oldest["number"] == "6"


def test_a_dead_daemon_is_no_answer(folder: Path) -> None:
    with pytest.raises(OSError):
        ask(folder / "s", {"show": "things"})


@pytest.mark.parametrize(
    ("where", "held"),
    [
        ({"nai": "kleung@example.net"}, True),
        ({"nai": "kleung@example.org"}, False),
        ({"sub_nai": ""}, False),
        ({"address": "203.0.113.2"}, True),
        ({"address": "203.0.113.20"}, False),
        ({"search": "PRINT"}, True),
        ({"search": "0.113"}, True),
        ({"search": "scanner"}, False),
        ({"nai": "kleung@example.net", "sub_nai": "scanner"}, False),
    ],
)
def test_a_filter_holds_for_the_sessions_it_names(where: dict[str, str], held: bool) -> None:
    session = ("kleung@example.net", "Printer", parse("10.10.0.7"), parse("203.0.113.2"))

    assert Where.of(where).holds(*session) is held


def test_the_log_is_one_line_an_event_with_its_priority_for_the_journal_or_an_object() -> None:
    text = "moved nai=a@x sub_nai='it\\'s' home=10.0.0.1"
    story = f"""
import os, sys
from host_agents.runtime import journal
if "journal" in sys.argv:
    of_stderr = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{{of_stderr.st_dev}}:{{of_stderr.st_ino}}"
journal.start_logging(sys.argv[1])
one = journal.Journal()
one.info({text!r})
one.warn("two\\nlines")
one.debug("small")
"""

    def lines(*words: str) -> list[str]:
        command = [sys.executable, "-c", story, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()

    assert [line[:3] for line in lines("text", "journal")] == ["<6>", "<4>", "<7>"]
    assert lines("text", "journal")[:2] == [f"<6>{text}", "<4>two lines"]
    assert [line.split(" ", 2)[2] for line in lines("text")] == [f"INFO {text}", "WARNING two lines", "DEBUG small"]
    moved = json.loads(lines("json")[0])
    assert (moved["nai"], moved["sub_nai"], moved["level"], moved["text"]) == ("a@x", "it's", "info", text)
    assert logging.getLogger("entourage").handlers == []


def test_a_long_answer_is_made_as_it_is_read_and_others_are_answered_meanwhile(folder: Path) -> None:
    made, path = [], folder / "sock"
    answers = Answers()
    answers.list("things", lambda: range(200_000), lambda *_: True, lambda one: [{"n": made.append(one) or one}])
    answers.show("count", lambda: len(made))

    async def story() -> tuple[int, dict[str, Any]]:
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 23)
        writer.write(b'{"show": "things"}\n')
        first = await reader.readexactly(1)
        meanwhile = (await asyncio.to_thread(ask, path, {"show": "count"}))["count"]
        whole = json.loads(first + await reader.readline())
        writer.close()
        return meanwhile, whole

    meanwhile, whole = serving(path, answers.piecemeal, story)

    assert 0 < meanwhile < 200_000
    assert whole == {"things": [{"n": number} for number in range(200_000)]}


def test_who_does_not_read_his_answer_holds_a_daemon_up_for_a_moment_and_leaves_no_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_LAST_PATIENCE", 0.1)
    complaints: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        made, asked = asyncio.Event(), Answers()
        asked.add("long", lambda _: made.set() or {"long": "x" * 10_000_000})
        daemon = ControlSocket(folder / "ha.sock", asked.piecemeal)
        await daemon.open()
        _, client = await asyncio.open_unix_connection(folder / "ha.sock")
        client.transport.pause_reading()
        client.write(b'{"long": true}\n')
        await made.wait()
        await daemon.close()

    uvloop.run(run())

    assert complaints == []


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_an_answer_in_pieces_is_the_same_document(folder: Path, count: int) -> None:
    answers = Answers()
    answers.list("things", lambda: list(range(count)), lambda *_: True, lambda one: [{"n": one}])
    request = {"show": "things", "limit": 1000}

    whole = serving(folder / "sock", answers, lambda: asyncio.to_thread(ask, folder / "sock", request))
    out = io.BytesIO()
    rest = serving(folder / "sock", answers.piecemeal, lambda: asyncio.to_thread(copy, folder / "sock", request, out))

    assert (json.loads(out.getvalue()), rest) == (whole, {})
    assert whole == {"things": [{"n": number} for number in range(count)], "matched": count}


def test_an_answer_that_says_no_is_not_copied(folder: Path) -> None:
    out = io.BytesIO()
    request = {"show": "nothing"}

    said = serving(
        folder / "sock", some_answers().piecemeal, lambda: asyncio.to_thread(copy, folder / "sock", request, out)
    )

    assert "nothing called nothing" in said["error"]
    assert out.getvalue() == b""
