"""What answers on a control socket may be anything: one line names the socket and says what is wrong with it."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_agents.cli import capture
from host_agents.cli.main import main, make_parser

HANDOFF = {
    "care_of_address": "203.0.113.2", "link_down": None, "link_up": 1, "requested": 2, "last_reply": 3,
    "sessions": 1, "registered": 1,
}  # fmt: skip
NODE = {
    "nai": "a@b", "home_agent": "192.0.2.1", "mode": None, "care_of_address": None,
    "sessions": [{"sub_nai": ""}], "handoffs": [HANDOFF],
}  # fmt: skip


class Somebody:
    """Says `answer` to whoever asks, whatever is asked; from then on `later`, where that is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answer = b""
        self.later: bytes | None = None
        self.asked = 0
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                with client, contextlib.suppress(OSError):
                    client.recv(4096)
                    self.asked += 1
                    client.sendall(self.answer)
                if self.later is not None:
                    self.answer, self.later = self.later, None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture(scope="module")
def somebody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Somebody]:
    with contextlib.closing(Somebody(tmp_path_factory.mktemp("socket") / "socket")) as made:
        yield made


@pytest.mark.parametrize(
    ("words", "answer", "reason"),
    [
        ("ha show status", {}, "nothing of status"),
        ("ha show status", {"status": []}, "of status: Expected `object`, got `array`"),
        ("ha show bindings", {"bindings": {"a": 1}}, "of bindings: Expected `array`, got `object`"),
        ("ha show bindings", {"bindings": [{}, 7]}, "of bindings[1]: Expected `object`, got `int`"),
        ("fa show visitors", {"visitors": "none"}, "of visitors: Expected `array`, got `str`"),
        ("ha show counters", {"counters": 7}, "of counters: Expected `object`, got `int`"),
        ("ha release a@b", {"released": 7}, "of released: Expected `array`, got `int`"),
        ("fa drain", {"drained": [7]}, "of drained: Expected `int`, got `array`"),
        ("ha debug a@b", {"debugged": [7]}, "of debugged[0]: Expected `str`, got `int`"),
        ("ha reload", {"restart_needed": "perhaps"}, "of restart_needed: Expected `bool`, got `str`"),
        ("node status", {}, "nothing of nai"),
        ("node status", {**NODE, "sessions": {}}, "of sessions: Expected `array`, got `object`"),
        (
            "node status",
            {**NODE, "handoffs": [{**HANDOFF, "link_up": "soon"}]},
            "of handoffs[0].link_up: Expected `int | null`, got `str`",
        ),
        ("ha show status", [], "no JSON object"),
        ("node status", 7, "no JSON object"),
    ],
)
def test_an_answer_that_is_none_is_one_line(
    somebody: Somebody, capsys: pytest.CaptureFixture[str], words: str, answer: object, reason: str
) -> None:
    somebody.answer = json.dumps(answer).encode() + b"\n"

    assert main([*words.split(), "--control", str(somebody.path)]) == 1

    told = capsys.readouterr()
    who = "node" if words.startswith("node") else "daemon"
    said = f"entourage: {somebody.path}: no answer from the {who}: what is there says {reason}\n"
    assert (told.out, told.err) == ("", said)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "it has hung up"),
        (b"hello\n", "what is there speaks no JSON"),
        (b"[" * 100_000, "what is there speaks no "),
    ],
)
@pytest.mark.parametrize(
    "words", ["ha show status", "ha show status --json", "fa watch", "ha capture a@b --write /dev/null", "node status"]
)
def test_what_is_no_answer_at_all_is_one_line(
    somebody: Somebody, capsys: pytest.CaptureFixture[str], words: str, answer: bytes, reason: str
) -> None:
    somebody.answer = answer

    assert main([*words.split(), "--control", str(somebody.path)]) == 1

    told = capsys.readouterr()
    if words == "fa watch" and not answer:
        reason = "the daemon has ended"  # which it may, without a word
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert reason in told.err


@pytest.mark.parametrize("words", ["ha show status", "fa watch", "node status"])
def test_what_is_no_socket_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Who is in a hurry gives the configuration's name to --control."""
    path = tmp_path / "ha.toml"
    path.write_text("")

    assert main([*words.split(), "--control", str(path)]) == 1
    assert capsys.readouterr().err.endswith(": is no socket\n")


def test_a_capture_of_somebody_without_an_address_says_so(
    somebody: Somebody, capsys: pytest.CaptureFixture[str]
) -> None:
    for home_address in (7, "10.10.0.300"):
        somebody.answer = json.dumps({"bindings": [{"home_address": home_address}]}).encode() + b"\n"

        assert main(["ha", "capture", "a@b", "--write", "/dev/null", "--control", str(somebody.path)]) == 1
        assert str(home_address if isinstance(home_address, str) else "got `int`") in capsys.readouterr().err


@functools.cache
def parser(command: str) -> argparse.ArgumentParser:
    return make_parser(command)


@pytest.mark.skipif(os.getuid() != 0, reason="a capture needs root")
def test_a_capture_goes_on_without_a_word_while_the_daemon_restarts(
    somebody: Somebody, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_LOOK", 0.02)
    somebody.answer = json.dumps({"bindings": []}).encode() + b"\n"
    asked = somebody.asked
    somebody.later = b""

    ended = main(["ha", "capture", "a@b", "--write", "/dev/null", "--seconds", "0.4", "--control", str(somebody.path)])

    assert ended == 0 and somebody.asked >= asked + 2
    assert [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "nobody of that name is registered now; its registrations will be seen",
        "0 packets, 0 lost by the kernel",
    ]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=3,
)
_KEYS = [
    *("bindings", "visitors", "pools", "peers", "handoffs", "events", "counters", "status", "released", "drained"),
    *("debugged", "hint", "restart_needed", "error", "text", "time", "count", *NODE, *HANDOFF),
]
_ROWS = st.dictionaries(st.sampled_from(_KEYS), _VALUES | st.lists(st.dictionaries(st.sampled_from(_KEYS), _VALUES)))


@pytest.mark.parametrize(
    "words", ["ha show bindings", "ha show counters", "ha watch", "ha release a@b", "ha debug a@b", "node status"]
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=_ROWS, kept=st.sampled_from(["nothing", "a node"]))
def test_whatever_it_says_nobody_gets_a_traceback(
    somebody: Somebody, words: str, answer: dict[str, object], kept: str
) -> None:
    somebody.answer = json.dumps({**(NODE if kept == "a node" else {}), **answer}).encode() + b"\n"

    args = parser(words.split()[0]).parse_args([*words.split(), "--control", str(somebody.path)])

    assert args.handler(args) in (0, 1)
