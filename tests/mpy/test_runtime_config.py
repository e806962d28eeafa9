"""The node's configuration file as the real MicroPython reads it: defaults, and one line for everything wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parent.parent.parent / "firmware"
DESIGN = {  # what a node of docs/configuration.md can say
    "nai": "kleung@example.net", "home_agent": "192.0.2.1", "spi": 256, "key": "hex:00112233445566778899aabbccddeeff",
    "algorithm": "hmac-md5", "lifetime": 600, "mode": "auto", "reverse_tunnel": True, "own_session": "",
    "sub_nai_vendor": 0, "sub_nai_type": 1, "uplinks": [{"interface": "up0", "address": "dhcp"}],
    "downlinks": [{"interface": "down0", "kind": "ethernet"},
                  {"device": "/dev/pts/4", "kind": "slip", "name": "usb"}], "names": {"02:00:00:00:AB:11": "KleungPC1"},
    "applications": ["telemetry"], "control": "node.sock",
}  # fmt: skip
LEAST = {key: DESIGN[key] for key in ("nai", "home_agent", "spi", "key", "uplinks")}
READ = """
import sys
from port_unix import port
from runtime.config import read
print(repr(read(sys.argv[1], port)))
"""


@pytest.fixture
def read(on_micropython, tmp_path):
    def read(document: dict) -> dict:
        (tmp_path / "read.py").write_text(READ)
        (tmp_path / "node.json").write_text(json.dumps(document))
        return eval(on_micropython(tmp_path / "read.py", tmp_path / "node.json"))

    return read


@pytest.fixture
def main(micropython, tmp_path):
    def main(*arguments: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "node.json"
        if text is not None:
            path.write_text(text)
            arguments = (path,)
        command = [micropython, FIRMWARE / "main.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10)

    return main


def test_the_example_of_the_design_is_understood(read, tmp_path):
    config = read(DESIGN)

    assert config["home_agent"] == 0xC0000201
    assert config["key"] == bytes.fromhex("00112233445566778899aabbccddeeff")
    assert config["names"] == {"02:00:00:00:ab:11": "KleungPC1"}
    ethernet, line = config["downlinks"]
    assert (ethernet["interface"], ethernet["kind"], ethernet["name"]) == ("down0", "ethernet", "down0")
    assert (line["device"], line["kind"], line["name"], line["baud"]) == ("/dev/pts/4", "slip", "usb", 115200)
    assert config["control"] == f"{tmp_path}/node.sock"


def test_what_is_left_out_has_a_sensible_value(read, tmp_path):
    config = read(LEAST)

    left_out = {key: value for key, value in config.items() if key not in LEAST}
    assert left_out == {
        "algorithm": "hmac-md5", "lifetime": 600, "mode": "auto", "force_udp": False, "reverse_tunnel": True,
        "encapsulation": "ipip", "delivery": "direct", "simultaneous": False, "broadcast": False,
        "own_session": "", "sub_nai_vendor": 0, "sub_nai_type": 1, "downlinks": [], "names": {},
        "sessions": 16, "applications": [], "control": "", "foreign_agents": [], "requested_home_agent": 0,
        "link_mtu": 1500, "clock": "system", "state": f"{tmp_path}/node.state.json", "replay": "timestamps",
        "aaa": None, "recorder": None,
        "path": f"{tmp_path}/node.json",
    }  # fmt: skip


def test_a_aaa_server_has_an_spi_and_a_key_too(read):
    assert read({**LEAST, "aaa": {"spi": 2, "key": "text:open sesame"}})["aaa"] == {
        "spi": 2,
        "key": b"open sesame",
        "algorithm": "hmac-md5",
    }


def test_a_key_can_stand_in_a_file_of_its_own(read, tmp_path):
    (tmp_path / "secret").write_text("text:open sesame\n")
    (tmp_path / "secret").chmod(0o600)

    assert read({**LEAST, "key": "file:secret"})["key"] == b"open sesame"


@pytest.mark.parametrize("left_open, octets", [("0.0.0.0", 0), ("255.255.255.255", 0xFFFFFFFF)])
def test_the_choice_of_a_home_agent_may_be_left_open(read, left_open, octets):
    least = {**LEAST, "home_agent": left_open, "mode": "foreign-agent"}
    without, with_wish = (read({**least, **wish}) for wish in ({}, {"requested_home_agent": "192.0.2.9"}))

    assert (without["home_agent"], without["requested_home_agent"]) == (octets, 0)
    assert (with_wish["home_agent"], with_wish["requested_home_agent"]) == (octets, 0xC0000209)


def test_a_static_address_and_an_association_with_a_foreign_agent(read):
    association = {"care_of_address": "203.0.113.2", "spi": 768, "key": "text:k", "algorithm": "hmac-sha1"}
    static = {"interface": "wlan-0.5", "address": "10.99.1.17/24", "gateway": "10.99.1.1"}

    config = read({**LEAST, "own_session": None, "uplinks": [static], "foreign_agents": [association]})

    assert config["uplinks"] == [{"interface": "wlan-0.5", "address": (0x0A630111, 24), "gateway": 0x0A630101}]
    assert config["foreign_agents"] == [{**association, "care_of_address": 0xCB007102, "key": b"k"}]
    assert config["own_session"] is None


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"nai": "a@b"}, "nai: NAI realm of one label: a@b"),
        ({"nai": None}, "nai: not a text"),
        ({"home_agent": "192.0.2"}, "home_agent: not an IPv4 address: 192.0.2"),
        ({"home_agent": "224.0.0.1"}, "home_agent: not the address of one host: 224.0.0.1"),
        (
            {"requested_home_agent": "192.0.2.9"},
            'requested_home_agent: "home_agent" names another one already',
        ),
        ({"spi": 255}, "spi: not a whole number from 256 to 4294967295"),
        ({"spi": True}, "spi: not a whole number from 256 to 4294967295"),
        ({"lifetime": 0}, "lifetime: not a whole number from 1 to 65535"),
        ({"lifetime": 600.0}, "lifetime: not a whole number from 1 to 65535"),
        ({"key": "swordfish"}, "key: neither hex: nor text:"),
        ({"key": "hex:swordfish"}, "key: not pairs of hexadecimal digits after hex:"),
        ({"key": "text:"}, "key: empty"),
        ({"key": "file:nowhere"}, "key: FOLDER/nowhere cannot be read: there is no such file"),
        ({"key": "file:node.json"}, "key: FOLDER/node.json is open to others: chmod 600 it"),
        (
            {"algorithm": "md4"},
            'algorithm: none of "hmac-md5", "hmac-sha1", "hmac-sha256", "keyed-md5", "keyed-md5-spi"',
        ),
        ({"aaa": "secret"}, "aaa: not a JSON object"),
        ({"aaa": {"spi": 2}}, "aaa.key: missing"),
        ({"aaa": {"spi": 3, "key": "text:open sesame"}}, "aaa: SPI 3 is outside 256..4294967295"),
        ({"aaa": {"spi": 1, "key": "text:open sesame"}}, "aaa.spi: not a whole number from 2 to 4294967295"),
        (
            {"aaa": {"spi": 2, "key": "text:open sesame", "algorithm": "hmac-sha1"}},
            "aaa: SPI 2 is that of chap, not of hmac-sha1",
        ),
        ({"replay": "nonce"}, 'replay: none of "timestamps", "nonces"'),
        ({"mode": "fa"}, 'mode: none of "foreign-agent", "co-located", "auto"'),
        ({"reverse_tunnel": 1}, "reverse_tunnel: none of true, false"),
        ({"encapsulation": "vxlan"}, 'encapsulation: none of "ipip", "gre", "minimal"'),
        (
            {"encapsulation": "minimal", "mode": "co-located"},
            'encapsulation: an agent unwraps "minimal", the node does not: not with "mode": "co-located"',
        ),
        ({"delivery": "by hand"}, 'delivery: none of "direct", "encapsulating"'),
        (
            {"delivery": "encapsulating", "mode": "co-located"},
            'delivery: it is to an agent: not with "mode": "co-located"',
        ),
        (
            {"delivery": "encapsulating", "reverse_tunnel": False},
            'delivery: there is no "encapsulating" one without "reverse_tunnel"',
        ),
        (
            {"broadcast": True, "mode": "foreign-agent"},
            'broadcast: they reach a node that unwraps them itself: not with "mode": "foreign-agent"',
        ),
        ({"simultaneous": 1}, "simultaneous: none of true, false"),
        ({"own_session": "x" * 65}, "own_session: sub-NAI of 65 octets"),
        ({"sub_nai_type": 3}, "sub_nai_type: none of 1, 2"),
        ({"uplinks": []}, "uplinks: exactly one for now, not 0"),
        ({"uplinks": [{"interface": "a"}, {"interface": "b"}]}, "uplinks: exactly one for now, not 2"),
        ({"uplinks": {"interface": "a"}}, "uplinks: not a list"),
        ({"uplinks": [{}]}, "uplinks[0].interface: missing"),
        ({"uplinks": [{"interface": "a; reboot"}]}, "uplinks[0].interface: not the name of an interface: a; reboot"),
        (
            {"uplinks": [{"interface": "up0", "address": "10.0.0.1"}]},
            'uplinks[0].address: neither "dhcp", "none" nor ADDRESS/PREFIX-LENGTH: 10.0.0.1',
        ),
        ({"downlinks": [{"interface": "down0", "mtu": 1480}]}, "downlinks[0].mtu: unknown key"),
        (
            {"downlinks": [{"device": "/dev/pts/4", "interface": "down0", "kind": "slip", "name": "usb"}]},
            'downlinks[0]: of kind "slip" it has a "device", and no other',
        ),
        ({"downlinks": [{"kind": "slip"}]}, 'downlinks[0]: of kind "slip" it has a "device", and no other'),
        ({"downlinks": [{"kind": "ethernet"}]}, 'downlinks[0]: of kind "ethernet" it has a "interface", and no other'),
        ({"downlinks": [{"device": 4, "kind": "slip"}]}, "downlinks[0].device: not a text"),
        (
            {"downlinks": [{"device": "/dev/x", "kind": "slip", "baud": 0}]},
            "downlinks[0].baud: not a whole number from 300 to 4000000",
        ),
        (
            {"downlinks": [{"device": "/dev/x", "kind": "slip", "name": "usb"}], "applications": ["usb"]},
            'names and applications: "usb" is there twice',
        ),
        (
            {"downlinks": [{"interface": "down0", "kind": "wifi-ap"}]},
            "downlinks[0].kind: there is no wifi-ap on this platform",
        ),
        ({"downlinks": [{"interface": "up0"}]}, 'uplinks and downlinks: "up0" is there twice'),
        ({"names": {"a": "PC", "b": "PC"}}, 'names and applications: "PC" is there twice'),
        (
            {"names": {"02:00:00:00:00:aa": "PC", "02:00:00:00:00:AA": "TV"}},
            'names: "02:00:00:00:00:aa" is there twice',
        ),
        ({"names": {"a": "tv"}, "applications": ["tv"]}, 'names and applications: "tv" is there twice'),
        ({"applications": [""]}, "applications: not a text"),
        (
            {"applications": ["a", "b"], "sessions": 2},
            "applications: more than 2 sessions, with the node's own",
        ),
        ({"sessions": 257}, "sessions: not a whole number from 1 to 256"),
        ({"foreign_agents": [{"spi": 300}]}, "foreign_agents[0].care_of_address: missing"),
        ({"clock": "rtc"}, 'clock: none of "system", "none"'),
        ({"colour": "blue"}, "colour: unknown key"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_reason(main, tmp_path, change, reason):
    done = main(text=json.dumps({**DESIGN, **change}))

    assert done.returncode == 2
    assert done.stderr == f"{tmp_path}/node.json: {reason}\n".replace("FOLDER", str(tmp_path))


@pytest.mark.parametrize("text", ["", "{", "nai: x", '{"nai": tru}'])
def test_a_file_that_is_no_json_is_named(main, tmp_path, text):
    done = main(text=text)

    assert (done.returncode, done.stderr) == (2, f"{tmp_path}/node.json: not a JSON document\n")


def test_a_missing_file_or_argument_is_said_in_one_line(main, tmp_path):
    assert main(tmp_path / "none.json").stderr == f"{tmp_path}/none.json: cannot be read: there is no such file\n"
    assert main(tmp_path / "none.json").returncode == 2
    assert (main().returncode, main().stderr) == (2, "usage: micropython main.py CONFIG.json\n")


def test_another_python_is_told_who_runs_it():
    done = subprocess.run([sys.executable, FIRMWARE / "main.py", "node.json"], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (2, "main.py is run by MicroPython: micropython main.py CONFIG.json\n")


def test_no_error_shows_a_key(main):
    for key in ("swordfish", "hex:swordfish", "hex:0g"):
        assert "sword" not in main(text=json.dumps({**DESIGN, "key": key})).stderr


def test_a_flight_recorder_that_is_asked_for_has_sensible_settings(read, tmp_path):
    assert read({**LEAST, "recorder": {}})["recorder"] == {
        "path": f"{tmp_path}/flight", "size": 262144, "on": True, "sample": 5, "write": 10, "pages_per_hour": 2000,
        "gps": "", "gps_baud": 9600,
    }  # fmt: skip
