"""The load of the benches, read by our codec: what it sends is what a foreign agent relays, and it believes nobody."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mip4.address import parse, show
from mip4.authentication import SecurityAssociation
from mip4.const import ACCEPTED, FLAG_T, HA_IDENTIFICATION
from mip4.extensions import ForeignHomeAuthentication, MobileHomeAuthentication, Nai, RevocationSupport, find
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import find_sub_nai
from tools.bench import registrants
from tools.bench.bench import BenchFailed
from tools.bench.native import compiled
from tools.bench.registrants import SPI, Answers, Population

HOME = parse("10.0.1.7")
EACH = 3
SECRET = b"foreign agent and home agent"
FOREIGN_HOME = SecurityAssociation(512, SECRET)
POPULATION = Population(5, EACH)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compiled(Path(registrants.__file__).with_suffix(".c"), tmp_path_factory.mktemp("load"))


class Agent:
    """Whom the load talks to. answers: what its phases met, once it has ended."""

    def __init__(self, server: socket.socket, load: subprocess.Popen[str]) -> None:
        self._server, self._load = server, load

    def hears(self) -> tuple[RegistrationRequest, bytes]:
        self.datagram, self._sender = self._server.recvfrom(2048)
        return RegistrationRequest.decode(self.datagram), self.datagram

    def replies(self, request: RegistrationRequest, key: bytes, code: int = ACCEPTED) -> None:
        fields = (code, request.lifetime, HOME, request.home_agent, request.identification, [])
        self.says(SecurityAssociation(SPI, key).sign(RegistrationReply(*fields).encode(), MobileHomeAuthentication))

    def says(self, datagram: bytes) -> None:
        self._server.sendto(datagram, self._sender)

    def until_it_ends(self, does: Callable[[RegistrationRequest], None]) -> None:
        self._server.settimeout(0.05)
        while self._load.poll() is None:
            with contextlib.suppress(TimeoutError):
                does(self.hears()[0])

    @property
    def answers(self) -> list[Answers]:
        said, _ = self._load.communicate(timeout=10)
        return [Answers(**json.loads(line)) for line in said.splitlines()]


@contextlib.contextmanager
def asked(
    program: Path, *phases: str, sessions: int = 1, rate: int = 0, home: str = "0.0.0.0", secret: str = ""
) -> Iterator[Agent]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        where = ("127.0.0.1", str(server.getsockname()[1]), "127.0.0.2")
        numbers = map(str, (EACH, sessions, 1, rate))
        with subprocess.Popen(
            [program, *where, *numbers, home, secret, *phases], stdout=subprocess.PIPE, text=True
        ) as load:
            try:
                yield Agent(server, load)
            finally:
                load.kill()


def key_of(number: int) -> bytes:
    return (number // EACH).to_bytes(16, "big")


def test_a_request_is_as_a_foreign_agent_relays_it_and_holds_under_the_key_of_its_node(program):
    with asked(program, "new:0", sessions=15) as agent:
        request, datagram = agent.hears()

    authenticator = request.extensions[-1]
    nai = find(request.extensions, Nai)[0].nai
    assert isinstance(authenticator, MobileHomeAuthentication)
    assert (request.flags, request.lifetime, request.home_address) == (FLAG_T, 1800, 0)
    assert (show(request.home_agent), show(request.care_of_address)) == ("127.0.0.1", "127.0.0.2")
    assert (nai.decode(), find_sub_nai(request.extensions, 0, nai).sub_nai.decode()) == POPULATION.session(0)
    SecurityAssociation(SPI, key_of(0)).verify(datagram, authenticator)


def test_an_agent_with_a_key_signs_what_it_relays_and_says_that_it_can_revoke(program):
    with asked(program, "new:0", secret=SECRET.decode()) as agent:
        request, datagram = agent.hears()

    offer, signature = request.extensions[-2:]
    assert (offer.inform, offer.timestamp) == (True, request.identification >> 32)
    assert isinstance(signature, ForeignHomeAuthentication)
    FOREIGN_HOME.verify(datagram, signature)


@pytest.mark.parametrize("missing", ["signature", "agreement"])
def test_and_wants_its_offer_taken_and_the_reply_signed_for_itself_too(program, missing):
    with asked(program, "new:0", secret=SECRET.decode()) as agent:
        request, _ = agent.hears()
        fields = (ACCEPTED, request.lifetime, HOME, request.home_agent, request.identification, [])
        reply = SecurityAssociation(SPI, key_of(0)).sign(RegistrationReply(*fields).encode(), MobileHomeAuthentication)
        whole = reply + RevocationSupport(True, 1).encode()
        agent.says(whole if missing == "signature" else FOREIGN_HOME.sign(reply, ForeignHomeAuthentication))
        agent.says(FOREIGN_HOME.sign(whole, ForeignHomeAuthentication))
        (answers,) = agent.answers

    assert (answers.answers, answers.bad) == (1, 1)


def test_every_session_asks_once_and_renews_what_it_was_given(program):
    with asked(program, "new:0", "renew:0.05", sessions=15) as agent:
        registered = [_answered(agent) for _ in range(15)]
        renewed = [_answered(agent) for _ in range(15)]

    assert {_session(request) for request in registered} == {POPULATION.session(number) for number in range(15)}
    assert {request.home_address for request in registered} == {0}
    assert {_session(request) for request in renewed} == {POPULATION.session(number) for number in range(15)}
    assert {request.home_address for request in renewed} == {HOME}


def test_identifications_of_a_session_increase(program):
    with asked(program, "renew:5") as agent:
        row = [_answered(agent).identification for _ in range(100)]

    assert row == sorted(set(row))


def test_sessions_that_are_known_already_have_neighbouring_home_addresses(program):
    with asked(program, "renew:5", sessions=15, home="10.0.1.0") as agent:
        requests = [_answered(agent) for _ in range(15)]

    numbers = {POPULATION.session(number): number for number in range(15)}
    assert all(request.home_address == parse("10.0.1.0") + numbers[_session(request)] for request in requests)


def test_a_reply_that_nobody_with_the_key_has_made_is_no_answer_and_is_counted(program):
    with asked(program, "new:0") as agent:
        request, _ = agent.hears()
        agent.replies(request, b"another key")
        agent.replies(request, key_of(0))
        (answers,) = agent.answers

    assert (answers.answers, answers.bad) == (1, 1)


def test_a_denial_is_counted_with_its_code(program):
    with asked(program, "new:0") as agent:
        request, _ = agent.hears()
        agent.replies(request, key_of(0), HA_IDENTIFICATION)
        (answers,) = agent.answers

    assert (answers.answers, answers.denied, answers.code) == (1, 1, HA_IDENTIFICATION)


def test_what_stays_unanswered_is_asked_again_and_a_late_answer_to_the_first_is_none(program):
    with asked(program, "new:0") as agent:
        first, _ = agent.hears()
        second, _ = agent.hears()
        agent.replies(first, key_of(0), HA_IDENTIFICATION)
        agent.replies(second, key_of(0))
        (answers,) = agent.answers

    assert second.identification > first.identification
    assert (answers.answers, answers.resent, answers.denied, answers.bad) == (1, 1, 0, 0)
    assert answers.longest >= 1_000_000


def test_at_a_rate_all_is_late_that_was_due_while_the_agent_stood_still(program):
    with asked(program, "renew:1.2", rate=20) as agent:
        agent.hears()
        request, _ = agent.hears()  # a second later, again
        agent.replies(request, key_of(0))
        agent.until_it_ends(lambda request: agent.replies(request, key_of(0)))
        (answers,) = agent.answers

    assert answers.answers >= 20
    assert answers.p50 >= 100_000


def test_nobody_to_talk_to_is_an_error(program):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = str(nobody.getsockname()[1])

    words = [program, "127.0.0.1", port, "127.0.0.2", "1", "1", "1", "0", "0.0.0.0", "", "new:0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=10)

    assert (done.returncode, done.stdout) == (1, "")
    assert "Connection refused" in done.stderr


def test_whoever_sends_back_what_he_gets_has_answered_an_echo(program):
    with asked(program, "echo:0.05") as agent:
        agent.until_it_ends(lambda request: agent.says(agent.datagram))
        (answers,) = agent.answers

    assert answers.answers > 1
    assert answers.resent == answers.bad == 0


@pytest.mark.parametrize("wrong", [{"denied": 1}, {"bad": 1}, {"answers": 0}], ids=["denied", "bad", "none"])
def test_a_measurement_with_anything_but_a_yes_in_it_is_none(wrong):
    good = {"rate": 1, "p50": 1, "p99": 1, "longest": 1, "busy": 0.1, "answers": 9, "resent": 2, "denied": 0, "code": 0}
    Answers(**{**good, "bad": 0}).check("renewals")

    with pytest.raises(BenchFailed, match="renewals: "):
        Answers(**{**good, "bad": 0, **wrong}).check("renewals")


def _answered(agent: Agent) -> RegistrationRequest:
    request, _ = agent.hears()
    number = next(number for number in range(POPULATION.sessions) if POPULATION.session(number) == _session(request))
    agent.replies(request, key_of(number))
    return request


def _session(request: RegistrationRequest) -> tuple[str, str]:
    nai = find(request.extensions, Nai)[0].nai
    return nai.decode(), find_sub_nai(request.extensions, 0, nai).sub_nai.decode()
