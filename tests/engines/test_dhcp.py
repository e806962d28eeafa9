"""DHCP for the devices behind a node (RFC 2131): the home address, the whole of it, and nothing but it."""

from itertools import pairwise

import pytest
from scapy.layers.dhcp import BOOTP, DHCP

from mip4.address import parse, show
from mip4.const import INFINITE
from mip4.effects import AnswerDhcp, Attach, Detach, Dropped, Remember
from mip4.errors import Malformed
from mip4.extensions import Nai, host_configuration
from mobile_node.dhcp import DhcpMessage
from mobile_node.sessions import NoRoom
from tests.helpers.alone import sub_nai_in
from tests.helpers.builders import GATEWAY, NAI, PC1, PC2, a_dhcp_message
from tests.helpers.driven_node import HOME_ADDRESS, DrivenNode, named

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
NAMES = {"02:00:00:00:00:11": "pc1", "laptop": "pc2", "my-client-id": "pc3"}
OTHER_SERVER = parse("192.168.0.1")


@pytest.fixture
def node():
    """Registered, with nobody behind it yet."""
    node = DrivenNode(names=NAMES).up()
    node.answer()
    return node


def _granted(node, name="pc1", link_address=PC1, home_address=HOME_ADDRESS + 1, lifetime=600):
    """A device asked, and the home agent gave it `home_address`; the answers to the device."""
    node.device(DISCOVER, link_address)
    return _answers(_grant(node, name, home_address, lifetime))


def _grant(node, name="pc1", home_address=HOME_ADDRESS + 1, lifetime=600):
    request = node.request(name)
    configuration = [
        host_configuration(5, GATEWAY.to_bytes(4, "big")),
        host_configuration(2, bytes([198, 51, 100, 53, 0, 0, 0, 0])),
        host_configuration(1, bytes([24])),
    ]
    echoes = [Nai(NAI.encode()), sub_nai_in(request).extension()]
    return node.answer(sub_nai=name, home_address=home_address, lifetime=lifetime, before=[*echoes, *configuration])


def _answers(effects):
    return [one for one in effects if isinstance(one, AnswerDhcp)]


def _read(answer):
    """(BOOTP layer, options) as scapy reads them."""
    bootp = BOOTP(answer.datagram)
    options = {}
    for option in bootp[DHCP].options:
        if isinstance(option, tuple):
            options[option[0]] = option[1] if len(option) == 2 else option[1:]
    return bootp, options


def _kind(answer):
    return _read(answer)[1]["message-type"]


# ---- what an answer says


def test_an_offer_waits_for_the_home_agent_and_then_says_everything(node):
    assert _answers(node.device(DISCOVER, PC1)) == []

    (offer,) = _answers(_grant(node))

    bootp, options = _read(offer)
    assert (bootp.op, bootp.htype, bootp.hlen, bootp.xid) == (2, 1, 6, 0x1234)
    assert (bootp.yiaddr, bootp.ciaddr, bootp.giaddr) == ("10.10.0.11", "0.0.0.0", "0.0.0.0")
    assert bootp.chaddr[:6] == PC1
    assert options == {
        "message-type": OFFER,
        "server_id": "10.10.0.1",
        "lease_time": 600,
        "subnet_mask": "255.255.255.255",
        "router": "10.10.0.1",
        "classless_static_routes": ["10.10.0.1/32:0.0.0.0", "0.0.0.0/0:10.10.0.1"],
        "name_server": "198.51.100.53",
        "interface-mtu": 1480,
    }
    assert (offer.downlink, offer.source, offer.destination) == ("down0", GATEWAY, 0xFFFFFFFF)
    assert len(offer.datagram) >= 300


def test_a_device_is_told_of_a_way_on_which_less_than_a_frame_passes_whole():
    node = DrivenNode(names=NAMES, link_mtu=1280).up()
    node.answer()
    node.device(DISCOVER, PC1)

    (offer,) = _answers(_grant(node))

    assert _read(offer)[1]["interface-mtu"] == 1260


def test_a_request_of_what_was_offered_is_acknowledged(node):
    _granted(node)

    (ack,) = _answers(node.device(REQUEST, PC1, asked=HOME_ADDRESS + 1, server=GATEWAY))

    bootp, options = _read(ack)
    assert (options["message-type"], bootp.yiaddr) == (ACK, "10.10.0.11")
    assert options["lease_time"] == 600
    assert ack.destination == 0xFFFFFFFF


def test_a_nak_says_nothing_but_who_says_it(node):
    _granted(node)

    (nak,) = _answers(node.device(REQUEST, PC1, asked=HOME_ADDRESS + 9, server=GATEWAY))

    bootp, options = _read(nak)
    assert options == {"message-type": NAK, "server_id": "10.10.0.1"}
    assert (bootp.yiaddr, nak.destination) == ("0.0.0.0", 0xFFFFFFFF)


def test_the_lease_is_what_is_left_of_the_granted_lifetime(node):
    _granted(node, lifetime=600)
    node.now += 120_500

    (ack,) = _answers(node.device(REQUEST, PC1, asked=HOME_ADDRESS + 1, server=GATEWAY))

    assert _read(ack)[1]["lease_time"] == 479


def test_an_endless_registration_is_an_endless_lease():
    node = DrivenNode(names=NAMES, lifetime=INFINITE).up(registration=INFINITE)

    (offer,) = _granted(node, lifetime=INFINITE)

    assert _read(offer)[1]["lease_time"] == 0xFFFFFFFF
    node.device(REQUEST, PC1, asked=HOME_ADDRESS + 1, server=GATEWAY)
    node.pass_time(seconds=5000)
    assert node.state("pc1") == "registered"


def test_a_home_agent_that_names_no_gateway_leaves_a_dummy_one(node):
    node.device(DISCOVER, PC1)

    (offer,) = _answers(
        node.answer(sub_nai="pc1", before=[Nai(NAI.encode()), sub_nai_in(node.request("pc1")).extension()])
    )

    _, options = _read(offer)
    assert (options["router"], options["server_id"]) == ("192.0.0.8", "192.0.0.8")
    assert "name_server" not in options


# ---- renewing, rebooting, other servers


def test_a_renewal_is_answered_where_it_comes_from(node):
    _granted(node)
    node.device(REQUEST, PC1, asked=HOME_ADDRESS + 1, server=GATEWAY)
    node.now += 200_000

    (ack,) = _answers(node.device(REQUEST, PC1, client_address=HOME_ADDRESS + 1))

    bootp, options = _read(ack)
    assert (ack.destination, bootp.ciaddr, bootp.yiaddr) == (HOME_ADDRESS + 1, "10.10.0.11", "10.10.0.11")
    assert options["message-type"] == ACK


def test_a_renewal_of_an_address_that_changed_is_refused_to_everybody(node):
    _granted(node)

    (nak,) = _answers(node.device(REQUEST, PC1, client_address=HOME_ADDRESS + 7))

    assert (_kind(nak), nak.destination) == (NAK, 0xFFFFFFFF)


@pytest.mark.parametrize(("remembered", "kind"), [(HOME_ADDRESS + 1, ACK), (HOME_ADDRESS + 7, NAK)])
def test_init_reboot_is_answered_when_the_home_agent_has_spoken(node, remembered, kind):
    assert _answers(node.device(REQUEST, PC1, asked=remembered)) == []

    (answer,) = _answers(_grant(node))

    assert _kind(answer) == kind


def test_a_request_for_another_server_is_ignored_and_registers_nobody(node):
    said = node.device(REQUEST, PC1, asked=HOME_ADDRESS + 1, server=OTHER_SERVER)

    assert [type(one) for one in said] == [Dropped]
    assert len(node.engine.status(0)["sessions"]) == 1


def test_a_device_that_takes_another_servers_offer_gets_no_answer_here(node):
    _granted(node)

    assert _answers(node.device(REQUEST, PC1, asked=HOME_ADDRESS + 1, server=OTHER_SERVER)) == []


def test_a_device_that_left_is_not_fetched_back_by_a_request_for_another_server(node):
    _granted(node)
    node.run(node.engine.link_down(node.now))
    node.device(RELEASE, PC1, client_address=HOME_ADDRESS + 1)

    node.device(REQUEST, PC1, asked=HOME_ADDRESS + 1, server=OTHER_SERVER)

    assert node.state("pc1") == "leaving"


def test_only_the_last_question_is_answered(node):
    for _ in range(3):
        node.device(DISCOVER, PC1)
        node.now += 100

    assert len(_answers(_grant(node))) == 1


# ---- leaving


def test_a_release_gives_the_address_back(node):
    _granted(node)
    node.pass_time(seconds=2)

    said = node.device(RELEASE, PC1, client_address=HOME_ADDRESS + 1)

    assert Detach(HOME_ADDRESS + 1, "down0", PC1, GATEWAY) in said
    assert node.request("pc1").lifetime == 0
    said = node.answer(sub_nai="pc1", lifetime=0)
    assert said == [Remember([])]
    assert len(node.engine.status(0)["sessions"]) == 1


@pytest.mark.parametrize("client_address", [0, HOME_ADDRESS + 2])
def test_a_release_of_another_address_gives_nothing_back(node, client_address):
    _granted(node)

    said = node.device(RELEASE, PC1, client_address=client_address)

    assert [type(one) for one in said] == [Dropped]
    assert node.state("pc1") == "registered"


def test_a_release_by_a_stranger_is_nothing(node):
    assert [type(one) for one in node.device(RELEASE, PC2, client_address=HOME_ADDRESS)] == [Dropped]


def test_a_declined_address_is_given_back(node):
    _granted(node)
    node.pass_time(seconds=2)

    node.device(DECLINE, PC1, asked=HOME_ADDRESS + 1)

    assert node.request("pc1").lifetime == 0


def test_a_goodbye_that_nobody_answers_is_said_three_times(node):
    _granted(node)
    node.pass_time(seconds=2)
    sent = len(node.times("pc1"))

    node.device(RELEASE, PC1, client_address=HOME_ADDRESS + 1)
    node.pass_time(seconds=60)

    waits = node.times("pc1")[sent:]
    assert [later - waits[0] for later in waits] == [0, 2000, 6000]
    assert len(node.engine.status(0)["sessions"]) == 1


def test_what_is_granted_to_a_device_that_has_gone_meanwhile_is_given_back_at_once(node):
    node.device(DISCOVER, PC1)
    node.run(node.engine.gone(PC1, node.now))

    said = _grant(node)
    node.pass_time(seconds=1)

    assert said == []
    assert node.request("pc1").lifetime == 0
    node.answer(sub_nai="pc1", lifetime=0, home_address=0)
    assert len(node.engine.status(0)["sessions"]) == 1


def test_a_device_that_comes_and_goes_all_the_time_is_asked_for_once_a_second(node):
    _granted(node)
    for _ in range(50):
        node.device(RELEASE, PC1, client_address=HOME_ADDRESS + 1)
        node.device(DISCOVER, PC1)
        node.pass_time(seconds=0.1)

    times = node.times("pc1")
    assert min(later - earlier for earlier, later in pairwise(times)) >= 1000


def test_a_lease_that_ends_gives_the_address_back(node):
    _granted(node)
    node.device(REQUEST, PC1, asked=HOME_ADDRESS + 1, server=GATEWAY)
    node.pass_time(seconds=301)
    _grant(node)

    node.pass_time(seconds=300)

    assert node.request("pc1").lifetime == 0


def test_a_device_that_never_gets_an_address_is_forgotten_two_minutes_after_its_last_word(node):
    """The home agent refuses all the time: such devices would fill the table for ever."""
    node.device(DISCOVER, PC1)
    node.answer(130, sub_nai="pc1")
    node.pass_time(seconds=60)
    node.device(DISCOVER, PC1)
    node.pass_time(seconds=119)
    assert node.state("pc1") == "registering"

    node.pass_time(seconds=20)

    assert len(node.engine.status(0)["sessions"]) == 1


# ---- who is who


@pytest.mark.parametrize(
    ("link_address", "host_name", "name"),
    [
        (PC1, "", "pc1"),
        (PC1, "laptop", "pc1"),
        (PC2, "laptop", "pc2"),
        (PC2, "unknown", "02:00:00:00:00:12"),
        (PC2, "bad name", "02:00:00:00:00:12"),
        (PC2, "", "02:00:00:00:00:12"),
    ],
)
def test_a_device_is_called_by_its_link_address_its_host_name_or_plainly(node, link_address, host_name, name):
    node.device(DISCOVER, link_address, host_name=host_name)

    assert named(node.request()) == name


def test_a_device_is_called_by_its_client_id(node):
    octets = a_dhcp_message(DISCOVER, PC2)[:-1] + b"\x3d\x0d\x00my-client-id\xff"

    node.run(node.engine.dhcp("down0", octets, 0))

    assert named(node.request()) == "pc3"


def test_a_name_is_not_given_twice():
    node = DrivenNode(names={**NAMES, "02:00:00:00:00:12": "telemetry"}, applications=["telemetry"]).up()

    node.device(DISCOVER, PC1)
    node.device(DISCOVER, bytes.fromhex("020000000013"), host_name="laptop")
    node.device(DISCOVER, bytes.fromhex("020000000014"), host_name="laptop")
    node.device(DISCOVER, PC2)

    assert {one["sub_nai"] for one in node.engine.status(0)["sessions"]} == {
        "", "telemetry", "pc1", "pc2", "02:00:00:00:00:14", "02:00:00:00:00:12",
    }  # fmt: skip


def test_sixteen_sessions_are_all_there_is_room_for(node):
    for number in range(15):
        node.device(DISCOVER, bytes((2, 0, 0, 0, 1, number)))

    (dropped,) = node.device(DISCOVER, bytes((2, 0, 0, 0, 1, 99)))

    assert type(dropped.error) is NoRoom
    assert len(node.engine.status(0)["sessions"]) == 16
    assert _answers(_grant(node, "02:00:00:00:01:00")) != []


def test_a_node_with_a_larger_heap_may_serve_more():
    node = DrivenNode(sessions=64).up()

    dropped = [node.device(DISCOVER, bytes((2, 0, 0, 0, 1, number))) for number in range(64)][-1]

    assert type(dropped[0].error) is NoRoom
    assert len(node.engine.status(0)["sessions"]) == 64


def test_a_device_that_appears_on_another_downlink_is_carried_there(node):
    _granted(node)

    said = node.run(node.engine.dhcp("down1", a_dhcp_message(DISCOVER, PC1), node.now))

    assert [one for one in said if isinstance(one, Attach | Detach)] == [
        Detach(HOME_ADDRESS + 1, "down0", PC1, GATEWAY),
        Attach(HOME_ADDRESS + 1, "down1", PC1, GATEWAY),
    ]
    assert [one.downlink for one in _answers(said)] == ["down1"]


@pytest.fixture
def node_with_a_line():
    """One serial line, named usb, and nobody on it yet."""
    node = DrivenNode(names=NAMES, downlinks=[{"kind": "slip", "name": "usb"}]).up()
    node.answer()
    return node


def _on_the_line(node, kind, link_address, **fields):
    return node.run(node.engine.dhcp("usb", a_dhcp_message(kind, link_address, **fields), node.now))


def test_a_device_on_a_serial_line_is_called_as_the_line_is(node_with_a_line):
    node = node_with_a_line

    _on_the_line(node, DISCOVER, PC1, host_name="laptop")
    (answer,) = _answers(_grant(node, "usb"))

    assert answer.downlink == "usb"
    assert node.said(Attach)[-1] == Attach(HOME_ADDRESS + 1, "usb", PC1, GATEWAY)


def test_another_machine_on_the_same_line_is_the_same_session(node_with_a_line):
    node = node_with_a_line
    _on_the_line(node, DISCOVER, PC1)
    _grant(node, "usb")

    said = _on_the_line(node, DISCOVER, PC2)

    assert [one for one in said if isinstance(one, Attach | Detach)] == [
        Detach(HOME_ADDRESS + 1, "usb", PC1, GATEWAY),
        Attach(HOME_ADDRESS + 1, "usb", PC2, GATEWAY),
    ]
    assert _read(_answers(said)[0])[0].yiaddr == "10.10.0.11"
    assert [one["sub_nai"] for one in node.engine.status(0)["sessions"]] == ["", "usb"]


def test_who_is_on_the_line_now_may_give_back_what_another_machine_got_there(node_with_a_line):
    node = node_with_a_line
    _on_the_line(node, DISCOVER, PC1)
    _grant(node, "usb")

    _on_the_line(node, RELEASE, PC2, client_address=HOME_ADDRESS + 1)
    node.pass_time(1)

    assert node.request("usb").lifetime == 0


def test_devices_are_remembered_for_the_next_life(node):
    _granted(node)

    assert node.said(Remember)[-1] == Remember([["pc1", "down0", "02:00:00:00:00:11", "10.10.0.11"]])


def test_a_second_power_cut_before_all_are_registered_again_forgets_nobody():
    remembered = [
        ["pc1", "down0", "02:00:00:00:00:11", "10.10.0.11"],
        ["pc2", "down0", "02:00:00:00:00:12", "10.10.0.12"],
    ]
    node = DrivenNode(names=NAMES)
    node.engine._remembered = remembered
    node.run(node.engine.start(0))
    node.up()

    node.answer(sub_nai="pc2")

    assert node.said(Remember)[-1] == Remember(remembered)


def test_what_is_remembered_is_taken_up_as_far_as_there_is_room_and_its_name_is_free():
    remembered = [["pc1", "down0", "02:00:00:00:00:11", "10.10.0.11"]]
    remembered += [[f"x{number}", "down0", f"02:00:00:00:01:{number:02}", "10.10.0.20"] for number in range(20)]
    node = DrivenNode(applications=["pc1"])
    node.engine._remembered = remembered

    said = node.run(node.engine.start(0))

    names = [one["sub_nai"] for one in node.engine.status(0)["sessions"]]
    assert len(names) == 16
    assert names[:3] == ["", "pc1", "x0"]
    assert {type(one) for one in said} == {Dropped}
    assert node.status("x0")["home_address"] == "10.10.0.20"


# ---- not DHCP


DAMAGED = {
    "nothing": b"",
    "cut within the fixed part": a_dhcp_message(DISCOVER, PC1)[:200],
    "a reply": b"\x02" + a_dhcp_message(DISCOVER, PC1)[1:],
    "another hardware": b"\x01\x06" + a_dhcp_message(DISCOVER, PC1)[2:],
    "no cookie": a_dhcp_message(DISCOVER, PC1).replace(b"\x63\x82\x53\x63", b"\0\0\0\0"),
    "no message type": a_dhcp_message(DISCOVER, PC1)[:240] + b"\xff",
    "an option that runs past the end": a_dhcp_message(DISCOVER, PC1)[:-1] + b"\x0c\x40x",
    "a message type of two octets": a_dhcp_message(DISCOVER, PC1)[:240] + b"\x35\x02\x01\x01\xff",
}


@pytest.mark.parametrize("octets", DAMAGED.values(), ids=DAMAGED)
def test_nobody_is_registered_for(node, octets):
    said = node.run(node.engine.dhcp("down0", octets, 0))

    assert [type(one.error) for one in said] == [Malformed]
    assert len(node.engine.status(0)["sessions"]) == 1


@pytest.mark.parametrize("kind", [0, OFFER, ACK, NAK, INFORM, 13, 255])
def test_other_message_types_are_dropped(node, kind):
    assert [type(one) for one in node.device(kind, PC1)] == [Dropped]


def test_options_are_joined_padded_and_may_end_without_an_end():
    octets = a_dhcp_message(REQUEST, PC1)[:-1] + b"\0\0\x0c\x03lap\x0c\x03top"

    assert DhcpMessage.decode(octets).names == ["laptop"]


def test_scapys_messages_are_understood():
    options = [("message-type", "request"), ("requested_addr", "10.10.0.11"), ("server_id", "10.10.0.1"),
               ("client_id", b"\x01" + PC1), ("hostname", b"laptop"), ("param_req_list", [1, 3, 6]), "end"]  # fmt: skip
    octets = bytes(BOOTP(chaddr=PC1 + bytes(10), xid=77, flags="B") / DHCP(options=options))

    message = DhcpMessage.decode(octets)

    assert (message.kind, message.transaction, message.flags, message.link_address) == (REQUEST, 77, 0x8000, PC1)
    assert (show(message.asked), show(message.server), message.client_address) == ("10.10.0.11", "10.10.0.1", 0)
    assert message.names == ["laptop"]


def test_the_broadcast_flag_comes_back(node):
    octets = bytes(
        BOOTP(chaddr=PC1 + bytes(10), xid=7, flags="B") / DHCP(options=[("message-type", "discover"), "end"])
    )
    node.run(node.engine.dhcp("down0", octets, 0))

    (offer,) = _answers(_grant(node))

    assert _read(offer)[0].flags == "B"
