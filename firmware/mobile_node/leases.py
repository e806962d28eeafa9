"""What a device is told of its home address by DHCP (RFC 2131 §4.3): it is a lease for as long as the registration.

At home nothing is registered. A lease is as long there as a registration that the node would ask for, and is renewed
without anybody else being asked.
"""

from mip4.const import BROADCAST
from mip4.effects import AnswerDhcp
from mobile_node.dhcp import ACK, NAK, OFFER, REQUEST, TUNNEL_OVERHEAD, UDP_TUNNEL_OVERHEAD, answer
from mobile_node.sessions import Session


def answer_waiting(session: Session, now: int) -> list:
    """Answer the DHCP message that waits, if the home address is there to be offered."""
    message, registration = session.waiting, session.registration
    if message is None or not session.attached or not registration.is_ours(now):
        return []
    session.waiting = None
    gateway = session.gateway
    kind = OFFER
    if message.kind == REQUEST:
        if message.server and message.server != gateway:
            return []  # the device took somebody else's offer
        kind = ACK if (message.client_address or message.asked) == session.attached else NAK
    until = registration.ours_until(now)
    lease = 0xFFFFFFFF if until is None else max(1, (until - now) // 1000)
    if kind == ACK:
        session.lease_ends = until
    mtu = registration.link_mtu - (UDP_TUNNEL_OVERHEAD if registration.tunnel == "udp" else TUNNEL_OVERHEAD)
    octets = answer(kind, message, session.attached, gateway, lease, registration.configuration, mtu)
    renewing = kind == ACK and message.client_address
    return [AnswerDhcp(session.downlink, octets, gateway, message.client_address if renewing else BROADCAST)]
