"""Brings what devices send to the forwarder, in frames (packet(7))."""

from mip4.compat import const
from port_unix.offload import finish, is_finished
from runtime.sockets import readable, would_block

_BATCH = const(32)  # frames per turn, so that a flood leaves room for timers
_PACKET = const(24)  # octets before it: struct virtio_net_hdr and an Ethernet header
_ENETDOWN = const(100)  # what a packet socket says once when its interface goes


async def bring(link, forwarder) -> None:
    """For ever. link: with `frames`, a PacketSocket, whose filter decides whether anything comes at all."""
    frames = link.frames
    while True:
        await readable(frames.socket)
        for _ in range(_BATCH):
            try:
                octets, link_address = frames.receive_all()
            except OSError as error:
                if not would_block(error) and error.errno != _ENETDOWN:
                    raise
                break
            if is_finished(octets):
                forwarder.from_device(link, octets, _PACKET, len(octets), link_address)
            else:
                for packet in finish(octets):
                    forwarder.from_device(link, packet, 0, len(packet), link_address)
