"""What the ipip adapter says to the kernel, beside what iproute2 6.1 said, taken from its sendmsg(2) with strace.

Of each message the kind and flags, then everything behind the header of netlink. Padding, in which iproute2 leaves
what was on its stack, is zero here. It has no word for DF in a tunnel route: captured with `key`, another flag.
"""

from __future__ import annotations

import socket
import struct
import sys

import pytest

from host_agents.datapath.ipip import messages
from host_agents.datapath.ipip.messages import DROP, PASS, Match
from host_agents.datapath.ipip.unheard import HEAR_ALL, only
from host_agents.datapath.traffic_control import EGRESS, INGRESS, Request, filters_on, no_filters_on
from host_agents.runtime.rtnetlink import Rtnetlink, attributes_of, nested
from host_agents.runtime.socket_filter import attach
from mip4.address import parse
from tests.runtime.chain import datagram

H, OTHER, HA, FA = parse("10.10.0.11"), parse("10.10.0.12"), parse("192.0.2.1"), parse("192.0.2.2")
TABLE = HA
KEY, DF = "0600060000040000", "0600060001000000"

IPROUTE2 = {
    "ip link add mip0 type ipip external": (
        messages.new_device("mip0"),
        "1000 0506 00000000000000000000000000000000"
        "090003006d697030000000001c001200080001006970697010000200050009000000000004001300",
    ),
    "ip link set v0 up mtu 1480": (
        messages.bring_up(3, 1480),
        "1000 0500 00000000030000000100000001000000" "08000400c8050000",
    ),
    "ip route replace table 3221225985 10.10.0.11/32 proto 143"
    " encap ip id 0 src 192.0.2.1 dst 192.0.2.2 tos 1 ttl 64 key dev v0": (
        messages.tunnel_route(TABLE, H, 32, 3, HA, FA),
        "1800 0505 02200000008ffd0100000000"
        "08000f00010200c008000100 0a0a000b 38001680 0c0001000000000000000000 08000300c0000201 08000200c0000202"
        f"0500050001000000 0500040040000000 {KEY} 0600150002000000 0800040003000000",
    ),
    "ip route replace table 3221225985 default proto 143 mtu 1380"
    " encap ip id 0 src 192.0.2.2 dst 192.0.2.1 tos 1 ttl 64 key dev v0": (
        messages.tunnel_route(TABLE, 0, 0, 3, FA, HA, 1380),
        "1800 0505 02000000008ffd0100000000"
        "08000f00010200c0 38001680 0c0001000000000000000000 08000300c0000202 08000200c0000201"
        f"0500050001000000 0500040040000000 {KEY} 0600150002000000 0800040003000000 0c0008000800020064050000",
    ),
    "tc qdisc add dev v0 clsact": (
        filters_on(3),
        "2400 0506 00000000030000000000fffff1ffffff00000000" "0b000100636c736163740000",
    ),
    "tc qdisc del dev v0 clsact": (
        no_filters_on(3),
        "2500 0500 00000000030000000000fffff1ffffff00000000" "0b000100636c736163740000",
    ),
    "tc filter replace dev v0 ingress protocol ip prio 1 handle 0x0a0a000b"
    " flower enc_src_ip 192.0.2.2 src_ip 10.10.0.11 action pass": (
        messages.verdict(3, INGRESS, 1, H, Match(source=H, outer_source=FA), PASS),
        "2c00 0504 00000000030000000b000a0af2ffffff08000100" "0b000100666c6f7765720000"
        "64000200 08001b00c0000202 08001c00ffffffff 08000a000a0a000b 08000b00ffffffff"
        "300003002c0001000900010067616374000000001c0002801800020000000000000000000000000000000000000000000"
        "8001600000000000600080008000000",
    ),
    "tc filter replace dev v0 egress protocol ip prio 1 handle 0x0a0a000b flower dst_ip 10.10.0.11 action pass": (
        messages.verdict(3, EGRESS, 1, H, Match(destination=H), PASS),
        "2c00 0504 00000000030000000b000a0af3ffffff08000100" "0b000100666c6f7765720000"
        "54000200 08000c000a0a000b 08000d00ffffffff"
        "300003002c0001000900010067616374000000001c0002801800020000000000000000000000000000000000000000000"
        "8001600000000000600080008000000",
    ),
    "tc filter replace dev v0 ingress protocol ip prio 3 handle 1 flower action drop": (
        messages.verdict(3, INGRESS, 3, 1, Match(), DROP),
        "2c00 0504 000000000300000001000000f2ffffff08000300" "0b000100666c6f7765720000" "44000200"
        "300003002c0001000900010067616374000000001c0002801800020000000000000000000200000000000000000000000"
        "8001600000000000600080008000000",
    ),
    "tc filter replace dev v0 egress protocol ip prio 3 handle 1 flower action mirred egress redirect dev v1": (
        messages.redirect(3, EGRESS, 3, 1, Match(), 2),
        "2c00 0504 000000000300000001000000f3ffffff08000300" "0b000100666c6f7765720000" "4c000200"
        "38000300340001000b0001006d6972726564000024000280200002000000000000000000040000000000000000000000"
        "010000000200000008001600000000000600080008000000",
    ),
    "tc filter del dev v0 ingress protocol ip prio 1 handle 0x0a0a000b flower": (
        messages.no_filter(3, INGRESS, 1, H),
        "2d00 0500 00000000030000000b000a0af2ffffff08000100" "0b000100666c6f7765720000"
        "14000200 0800160000000000 0600080008000000",
    ),
}  # fmt: skip


@pytest.mark.skipif(sys.byteorder != "little", reason="captured on a machine with the low octet first")
@pytest.mark.parametrize("command", IPROUTE2, ids=lambda command: command.replace(" ", "-"))
def test_a_message_is_octet_for_octet_that_of_iproute2(command):
    request, captured = IPROUTE2[command]

    assert octets(request).hex() == captured.replace(KEY, DF).replace(" ", "")


def octets(request: Request) -> bytes:
    """Kind and flags, REQUEST and ACK among them, then fixed part and attributes."""
    return struct.pack("=HH", request.kind, request.flags | 5) + request.head + nested(request.attributes)


def test_the_kernel_understands_a_route_into_a_tunnel(network):
    """Encapsulation is a property of the route: a kernel without ipip takes it for any device."""
    network.node("ha")
    network.link("ha", "up0", "192.0.2.1/24", "ha", "v1", "192.0.2.3/24")
    with network.inside("ha"):
        index, kernel = socket.if_nametoindex("up0"), Rtnetlink()

    request = messages.tunnel_route(TABLE, H, 32, index, HA, FA, 1380)
    kernel.change(request.kind, request.head, request.attributes, request.flags)

    kernel.close()
    (route,) = network.ip("ha", "route", "show", "table", str(TABLE)).splitlines()
    encapsulation = "encap ip id 0 src 192.0.2.1 dst 192.0.2.2 ttl 64 tos 1"
    assert route.split() == f"10.10.0.11 {encapsulation} dev up0 proto 143 scope link mtu 1380".split()


def test_what_a_filter_has_counted_is_read_from_the_kernels_answer():
    basic = struct.pack("=QI4x", 9344, 14)
    action = nested({1: b"gact\0", 4: nested({1: basic, 7: basic})})
    answer = nested({1: b"flower\0", 2: nested({10: b"\x0a\x0a\0\x0b", 3: nested({1: action})})})

    assert messages.counted(attributes_of(answer)) == (14, 9344)
    assert messages.counted({}) == (0, 0)


@pytest.mark.parametrize("kind, told", [("veth", "veth"), ("tun", "tun")])
def test_a_device_of_another_kind_is_known(network, kind, told):
    network.node("ha")
    words = ("tuntap", "add", "x0", "mode", "tun") if kind == "tun" else ("link", "add", "x0", "type", kind)
    network.ip("ha", *words)
    with network.inside("ha"):
        kernel = Rtnetlink()

    request = messages.the_device("x0")

    assert messages.kind_of(kernel.get(request.kind, request.head, request.attributes).attributes) == told
    kernel.close()


@pytest.mark.parametrize("home", [True, False], ids=["home", "visited"])
def test_a_raw_socket_hears_nothing_of_what_the_kernel_carries(network, home):
    network.node("ha")
    with network.inside("ha"):
        heard, sender = (socket.socket(socket.AF_INET, socket.SOCK_RAW, 4) for _ in range(2))
    heard.setblocking(False)
    attach(heard, only([parse("10.10.0.1"), H], home))

    for address in ("10.10.0.12", "10.10.0.11"):
        there, back = (address, "198.51.100.2") if home else ("198.51.100.2", address)
        sender.sendto(datagram(there, back), ("127.0.0.1", 0))

    packet = heard.recv(100)
    assert packet[20 + 12 :][:8].find(H.to_bytes(4, "big")) == (0 if home else 4)
    with pytest.raises(BlockingIOError):
        heard.recv(100)
    for sock in (heard, sender):
        sock.close()


def test_a_raw_socket_hears_everything_where_a_filter_would_grow_too_long():
    assert only(range(2046), home=True) != HEAR_ALL
    assert len(only(range(2046), home=True)) <= 4096
    assert only(range(2047), home=True) == HEAR_ALL
