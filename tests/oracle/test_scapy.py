"""Scapy's messages read by us, and ours by scapy. It knows the fixed parts; what follows them it shows as octets."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP
from scapy.layers.mobileip import MobileIP, MobileIPRRP, MobileIPRRQ
from scapy.packet import Raw

from mip4.address import parse, parse_link, show
from mip4.arp import Arp, gratuitous
from mip4.discovery import AgentAdvertisement, AgentSolicitation
from mip4.extensions import Nai, encode_all
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from tests.helpers.alone import ForeignAgentAlone, HomeAgentAlone
from tests.helpers.builders import HOME_AGENT, KEY, NAI, SPI, VISITED
from tests.helpers.driven_node import DrivenNode
from tests.helpers.messages import an_identification
from tests.wire.strategies import ADVERTISEMENT, REPLY, REQUEST, U8, U16, U32, U64, octets

EXTENSIONS = b"\x83\x03bob\x20\x14" + bytes(20)
ENDS = {"src": "203.0.113.2", "dst": "192.0.2.1"}


def datagram_of(packet) -> Datagram:
    return Datagram.decode(Packet.decode(bytes(packet)))


def signed(packet) -> bytes:
    """The UDP payload of scapy's `packet`, and behind it our NAI and a Mobile-Home Authentication."""
    spi = SPI.to_bytes(4, "big")
    octets = bytes(packet[UDP].payload) + b"\x83" + bytes((len(NAI),)) + NAI.encode() + b"\x20\x14" + spi
    return octets + hmac.digest(KEY, octets, "md5")


def scapys_request(flags) -> bytes:
    fields = {"haaddr": show(HOME_AGENT), "coaddr": ENDS["src"], "id": an_identification(low=7)}
    return signed(IP() / UDP(dport=434) / MobileIP(type=1) / MobileIPRRQ(flags=flags, lifetime=600, **fields))


def test_a_home_agent_accepts_what_scapy_built_and_scapy_reads_its_answer():
    answer = HomeAgentAlone().take(scapys_request(flags=2), parse(ENDS["src"]), 1000)

    reply = MobileIP(answer.datagram)[MobileIPRRP]
    assert (reply.code, reply.homeaddr, reply.haaddr) == (0, "10.10.0.10", show(HOME_AGENT))
    assert reply.id == an_identification(low=7) and 540 <= reply.lifetime <= 600


def test_a_foreign_agent_relays_what_scapy_built_as_it_is():
    request = scapys_request(flags=0)

    assert ForeignAgentAlone().take(request) == request


def test_a_node_accepts_what_scapy_answers():
    node = DrivenNode().up()
    fields = {"homeaddr": "10.10.0.77", "haaddr": show(HOME_AGENT), "id": node.request().identification}

    answer = signed(IP() / UDP(sport=434) / MobileIP(type=3) / MobileIPRRP(code=0, lifetime=300, **fields))
    node.run(node.engine.receive(answer, VISITED["fa1"], node.now))

    assert (node.state(), node.status()["home_address"]) == ("registered", "10.10.0.77")


@given(U8, U16, U32, U32, U32, U64)
def test_scapys_request_is_read_as_it_was_meant(
    flags, lifetime, home_address, home_agent, care_of_address, identification
):
    fields = MobileIPRRQ(
        flags=flags,
        lifetime=lifetime,
        homeaddr=show(home_address),
        haaddr=show(home_agent),
        coaddr=show(care_of_address),
        id=identification,
    )
    packet = IP(**ENDS) / UDP(sport=1000, dport=434) / MobileIP(type=1) / fields / Raw(EXTENSIONS)

    datagram = datagram_of(packet)
    found = RegistrationRequest.decode(datagram.payload)

    assert found.values()[:-1] == (flags, lifetime, home_address, home_agent, care_of_address, identification)
    assert encode_all(found.extensions) == EXTENSIONS
    assert (show(datagram.source), datagram.source_port, datagram.destination_port) == ("203.0.113.2", 1000, 434)
    assert found.encode() == datagram.payload


@given(U8, U16, U32, U32, U64)
def test_scapys_reply_is_read_as_it_was_meant(code, lifetime, home_address, home_agent, identification):
    fields = MobileIPRRP(
        code=code, lifetime=lifetime, homeaddr=show(home_address), haaddr=show(home_agent), id=identification
    )

    found = RegistrationReply.decode(bytes(MobileIP(type=3) / fields / Raw(EXTENSIONS)))

    assert found.values()[:-1] == (code, lifetime, home_address, home_agent, identification)
    assert found.extensions[0] == Nai(b"bob")


@given(REQUEST)
def test_scapy_reads_our_request(request):
    shown = IP(Datagram(parse(ENDS["src"]), 49152, parse(ENDS["dst"]), 434, request.encode()).packet(255).encode())

    fixed = shown[MobileIPRRQ]
    addresses = (parse(fixed.homeaddr), parse(fixed.haaddr), parse(fixed.coaddr))
    assert (fixed.flags, fixed.lifetime, *addresses, fixed.id) == request.values()[:-1]
    assert bytes(fixed.payload) == encode_all(request.extensions)
    assert (shown.ttl, shown.src, shown[UDP].sport, shown[UDP].dport) == (255, ENDS["src"], 49152, 434)


@given(REPLY)
def test_scapy_reads_our_reply(reply):
    fixed = MobileIP(reply.encode())[MobileIPRRP]

    assert (fixed.code, fixed.lifetime, parse(fixed.homeaddr), parse(fixed.haaddr), fixed.id) == reply.values()[:-1]
    assert bytes(fixed.payload) == encode_all(reply.extensions)


@given(U32, U32, U16, U16, octets(0, 300), st.integers(1, 255))
def test_scapy_computes_the_same_checksums(source, destination, source_port, destination_port, payload, ttl):
    ours = Datagram(source, source_port, destination, destination_port, payload).packet(ttl).encode()

    theirs = IP(src=show(source), dst=show(destination), ttl=ttl, id=0, flags="DF")
    assert ours == bytes(theirs / UDP(sport=source_port, dport=destination_port) / Raw(payload))


@given(ADVERTISEMENT)
def test_scapys_advertisement_is_read_as_it_was_meant_with_its_own_checksum(advertisement):
    message = advertisement.encode()

    theirs = bytes(ICMP(type=9, code=advertisement.code, unused=int.from_bytes(message[4:8], "big")) / Raw(message[8:]))

    assert theirs == message
    assert AgentAdvertisement.decode(theirs) == advertisement


@pytest.mark.parametrize("destination", ["224.0.0.2", "224.0.0.11", "255.255.255.255"])
def test_scapys_solicitation_is_read_and_is_ours(destination):
    packet = Packet.decode(bytes(IP(src="0.0.0.0", dst=destination, ttl=1) / ICMP(type=10)))

    assert AgentSolicitation.decode(packet.payload) == AgentSolicitation()
    assert packet.payload == AgentSolicitation().encode()
    assert (packet.source, show(packet.destination), packet.ttl) == (0, destination, 1)


def test_scapys_arp_is_read_as_it_was_meant_and_ours_is_gratuitous_to_scapy():
    asked = ARP(op=1, hwsrc="02:00:00:00:04:02", psrc="10.10.0.200", hwdst="02:00:00:00:04:01", pdst="10.10.0.10")

    ours = ARP(gratuitous(parse("10.10.0.10"), parse_link("02:00:00:00:04:01")).encode())

    ends = (parse_link(asked.hwsrc), parse(asked.psrc), parse_link(asked.hwdst), parse(asked.pdst))
    assert Arp.decode(bytes(asked)) == Arp(1, *ends)
    assert (ours.op, ours.psrc, ours.pdst, ours.hwsrc) == (1, "10.10.0.10", "10.10.0.10", "02:00:00:00:04:01")
