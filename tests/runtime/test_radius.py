"""Subscribers from a real FreeRADIUS: their keys and addresses, and what a dead or a lying server does."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_agents.effects import AskSubscriber
from host_agents.home_agent.policy import Subscriber
from host_agents.runtime.radius import NoAnswer
from host_agents.runtime.remote_subscribers import RemoteSubscribers
from mip4.address import show
from mip4.authentication import SecurityAssociation
from mip4.messages import RegistrationReply
from tests.runtime.test_home_agent_daemon import CONFIG, HOME_AGENT, NAI, PATIENCE, Home
from tests.runtime.test_home_agent_daemon import home as home  # a fixture
from tests.runtime.test_home_agent_daemon import pytestmark as pytestmark
from tools.lab.crew import wait_until

SECRET, KEY = "testing-testing-123", b"0123456789abcdef"
RADIUSD = f"""
raddbdir = FOLDER
libdir = /usr/lib/freeradius
run_dir = FOLDER
client home_agent {{
    ipaddr = 127.0.0.1
    secret = {SECRET}
    require_message_authenticator = yes
}}
modules {{
    files {{
        usersfile = FOLDER/users
    }}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = 1812
    }}
    authorize {{
        files
    }}
    post-auth {{
        update reply {{
            Message-Authenticator := 0x00
        }}
        Post-Auth-Type REJECT {{
            update reply {{
                Message-Authenticator := 0x00
            }}
        }}
    }}
}}
"""
USERS = f"""
{NAI.decode()} 3GPP2-MN-HA-SPI == 256, Auth-Type := Accept
    3GPP2-MN-HA-Shared-Key = "{KEY.decode()}",
    Framed-IP-Address = 10.10.0.77

DEFAULT Auth-Type := Reject
"""


class Server:
    """FreeRADIUS beside the home agent, with its own folder."""

    def __init__(self, home: Home, folder: Path, config: str = RADIUSD) -> None:
        self._home = home
        self.folder = folder
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        (folder / "radiusd.conf").write_text(config.replace("FOLDER", str(folder)))
        (folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
        (folder / "users").write_text(USERS)

    def start(self) -> None:
        command = self._home.inside(["freeradius", "-f", "-x", "-l", "stdout", "-n", "radiusd", "-d", str(self.folder)])
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: "Ready to process requests" in self.log.read_text(), PATIENCE, "FreeRADIUS")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.process = None


def need_freeradius() -> None:
    for program in ("freeradius", "radclient"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here: tools/setup/packages.sh installs it where nothing would start a service")


@pytest.fixture
def server(home: Home, tmp_path: Path) -> Iterator[Server]:
    need_freeradius()
    subprocess.run(home.inside(["ip", "link", "set", "lo", "up"]), check=True)
    home._association = SecurityAssociation(256, KEY)
    use(home, SECRET)
    server = Server(home, tmp_path / "radius")
    try:
        yield server
    finally:
        server.kill()


def use(home: Home, secret: str) -> None:
    """Configure the server and no subscriber but one that nobody asks about."""
    text = CONFIG.replace(NAI.decode(), "somebody@example.org")
    home.config.write_text(
        f'{text}\n[radius]\nserver = "127.0.0.1"\nsecret = "text:{secret}"\ntimeout = 0.3\ntries = 2\n'
    )


def own_session(home: Home) -> str:
    """Register the node's own session; its home address."""
    home.socket.sendto(home.request(""), (HOME_AGENT, 434))
    reply = RegistrationReply.decode(home.socket.recv(2048))
    assert reply.code == 0
    return show(reply.home_address)


def test_a_subscriber_of_the_server_registers_with_its_key_and_gets_its_address(home, server):
    server.start()
    home.start()
    unknown = home.run("ha", "debug", NAI.decode()).stderr
    home.run("ha", "debug", NAI.decode(), "--off")

    assert own_session(home) == "10.10.0.77"
    assert unknown == f"entourage: no subscriber that is known yet has the NAI {NAI.decode()}\n"
    assert home.run("ha", "debug", NAI.decode()).stderr == ""
    home.ask("camera")
    assert home.answer()[:2] == ("camera", 0)
    assert server.log.read_text().count("Received Access-Request") == 1
    assert KEY.decode() not in home.log.read_text()


def test_a_dead_server_stops_no_renewal_and_no_further_session_of_who_is_known(home, server):
    server.start()
    home.start()
    address = own_session(home)

    server.kill()

    assert own_session(home) == address
    home.ask("camera")
    assert home.answer()[:2] == ("camera", 0)


def test_who_could_not_be_asked_for_is_when_the_server_is_there(home, server):
    home.start()
    home.ask("camera")
    wait_until(lambda: "no answer from the RADIUS server" in home.log.read_text(), PATIENCE, "giving up")

    server.start()
    home.ask("printer")

    assert home.answer()[:2] == ("printer", 0)


def test_who_is_rejected_is_not_answered_and_not_asked_for_at_each_request(home, server):
    (server.folder / "users").write_text("DEFAULT Auth-Type := Reject\n")
    server.start()
    home.start()

    for number in range(20):
        home.ask(f"camera-{number}")
        wait_until(lambda: "Access-Reject" in server.log.read_text(), PATIENCE, "a rejection")

    assert server.log.read_text().count("Received Access-Request") == 1
    home.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        home.socket.recv(2048)


def test_an_answer_under_another_secret_is_not_believed(home, server):
    use(home, "another-secret-456")
    server.start()
    home.start()

    home.ask("camera")

    wait_until(lambda: "no answer from the RADIUS server" in home.log.read_text(), PATIENCE, "giving up")
    assert home.bindings() == {}


def test_who_is_disconnected_is_asked_for_again_and_not_let_in_where_he_is_rejected_now(home, server):
    home.config.write_text(home.config.read_text() + 'disconnect = "127.0.0.1"\n')
    server.start()
    home.start()
    own_session(home)
    (server.folder / "users").write_text("DEFAULT Auth-Type := Reject\n")
    server.kill()
    server.start()

    command = home.inside(["radclient", "127.0.0.1:3799", "disconnect", SECRET])
    subprocess.run(command, input=f"User-Name = {NAI.decode()}".encode(), check=True, capture_output=True)
    wait_until(lambda: "Access-Reject" in server.log.read_text(), PATIENCE, "a rejection")
    home.socket.settimeout(0.2)

    def is_silent() -> bool:
        """Until the home agent has heard of it, too, it may answer."""
        home.ask("")
        try:
            home.socket.recv(2048)
        except TimeoutError:
            return True
        return False

    wait_until(is_silent, PATIENCE, "silence")


class Clerk:
    """A client whose answers a test chooses."""

    def __init__(self, *answers: Subscriber | NoAnswer | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def ask(self, nai: str, spi: int) -> Subscriber | None:
        self.asked.append(nai)
        answer = self.answers.pop(0) if self.answers else NoAnswer("dead")
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    def close(self) -> None:
        pass


def told_by(clerk: Clerk, asked: int) -> list[str]:
    """What a table with a short memory says until `clerk` was asked so often."""

    async def story() -> list[str]:
        said: list[str] = []
        table = RemoteSubscribers(
            clerk, 0.01, lambda one: said.append(f"learned {one.nai}"), lambda nai: said.append(f"forgot {nai}"),
            lambda effect: said.append(f"resumed {effect.port}"), said.append,
        )  # fmt: skip
        table.ask(AskSubscriber("a@example.net", 256, b"", 0, 1))
        table.ask(AskSubscriber("a@example.net", 256, b"", 0, 2))
        async with asyncio.timeout(PATIENCE):
            while len(clerk.asked) < asked or table._under_way:
                await asyncio.sleep(0.001)
        await table.close()
        return said

    return asyncio.run(story())


def test_of_what_a_node_sends_while_it_is_asked_for_the_last_is_looked_at():
    said = told_by(Clerk(Subscriber("a@example.net", {}, 8)), 1)

    assert said[:2] == ["learned a@example.net", "resumed 2"]


def test_who_the_server_knows_no_longer_is_forgotten_when_it_is_asked_again():
    said = told_by(Clerk(Subscriber("a@example.net", {}, 8), None), 2)

    assert said == ["learned a@example.net", "resumed 2", "forgot a@example.net"]


def test_a_server_that_is_dead_when_it_is_asked_again_has_nobody_forgotten():
    said = told_by(Clerk(Subscriber("a@example.net", {}, 8)), 2)

    assert said == ["learned a@example.net", "resumed 2", "dead"]
