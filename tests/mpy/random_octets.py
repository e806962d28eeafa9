"""Run on either interpreter: decode octets that nobody meant, and print what became of each.

Arguments: seed, number of turns, vector files to damage. The octets come from the seed alone, so that two interpreters
must print the same. Anything raised but MipError ends the run, with the octets that did it.
"""

import hashlib
import sys

import checks

from mip4.address import show
from mip4.cursor import pack
from mip4.discovery import AgentAdvertisement, AgentSolicitation
from mip4.errors import MipError
from mip4.extensions import Experimental, NormalVendor, find_host_configuration
from mip4.ip import Datagram, Packet, checksum
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.nai import check_nai, check_sub_nai
from mip4.sub_nai import find_sub_nai


class Noise:
    """Octets from a seed."""

    def __init__(self, seed: int):
        self.state = hashlib.md5(pack("I", seed)).digest()

    def octets(self, count: int) -> bytes:
        made = b""
        while len(made) < count:
            self.state = hashlib.md5(self.state).digest()
            made += hashlib.md5(self.state + b"out").digest()
        return made[:count]

    def below(self, limit: int) -> int:
        octets = self.octets(2)
        return (octets[0] << 8 | octets[1]) % limit


def damaged(noise: Noise, original: bytes) -> bytes:
    octets = bytearray(original)
    for _ in range(1 + noise.below(4)):
        octets[noise.below(len(octets))] = noise.below(256)
    return bytes(octets)[: len(octets) - noise.below(4) * noise.below(2)]


def with_checksum(message: bytes) -> bytes:
    return message[:2] + pack("H", checksum(message[:2] + b"\0\0" + message[4:])) + message[4:]


def attempts(noise: Noise, originals: list):
    """Octets from pure noise to one changed octet, endlessly."""
    while True:
        original = originals[noise.below(len(originals))]
        yield noise.octets(noise.below(80))
        yield bytes([octet & 0x7F for octet in noise.octets(noise.below(8))])
        yield damaged(noise, original)
        yield checks.REQUEST + noise.octets(noise.below(60))
        yield b"\x03" + checks.REQUEST[1:20] + bytes([131 + noise.below(15)]) + noise.octets(noise.below(60))
        size = noise.below(40)
        yield Packet(1, 2, 17, 64, pack("HHHH", 434, 434, noise.below(60), 0) + noise.octets(size)).encode()
        yield with_checksum(b"\x09\0\0\0\0\x02\0\x1e\x10\x06\0\x01\x07\x08\x10\0" + noise.octets(noise.below(30)))


def from_packet(octets: bytes) -> bytes:
    datagram = Datagram.decode(Packet.decode(octets))
    return f"{show(datagram.source)}:{datagram.source_port} ".encode() + datagram.payload


def from_sub_nai(octets: bytes) -> bytes:
    carried = [Experimental(octets[0] & 3, octets[1:])] if octets else []
    carried += [NormalVendor(9, 14, octets), NormalVendor(9, octets[-1] & 3 if octets else 0, octets[:70])]
    configured = len(find_host_configuration(carried))
    return f"{configured} {find_sub_nai(carried, 9, octets[2:5])}".encode()


DECODERS = [
    ("request", lambda octets: RegistrationRequest.decode(octets).encode()),
    ("salvage", lambda octets: RegistrationRequest.salvage(octets).encode()),
    ("reply", lambda octets: RegistrationReply.decode(octets).encode()),
    ("advertisement", lambda octets: AgentAdvertisement.decode(octets).encode()),
    ("solicitation", lambda octets: AgentSolicitation.decode(octets).encode()),
    ("packet", from_packet),
    ("nai", lambda octets: check_nai(octets).encode()),
    ("sub-NAI", lambda octets: check_sub_nai(octets).encode()),
    ("carried", from_sub_nai),
]


def main(seed: int, turns: int, paths: list) -> None:
    print("seed", seed)
    vectors = [bytes.fromhex(vector["datagram"]) for vector in map(checks.load, paths)]
    octets_of = attempts(Noise(seed), vectors + [checks.message_in(one) for one in vectors])
    for turn in range(turns):
        octets = next(octets_of)
        for name, decode in DECODERS:
            try:
                print(turn, name, "gives", decode(octets).hex())
            except MipError as error:
                print(turn, name, type(error).__name__, str(error).encode().hex())
            except Exception:
                print(f"turn {turn}, {name} of {octets.hex()}")
                raise


main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
