"""What each sort of vector file promises, as one function; CPython's tests and MicroPython run the same ones.

A file names its sort under "check". Inside, "text:..." and "hex:..." are octets, "0x..." is an int, and so is a dotted
quad. Each check returns how many things it looked at, and raises AssertionError with a sentence.
"""

import json

from mip4 import arp, discovery, extensions, messages, revocation, tunnel
from mip4.address import parse
from mip4.authentication import ALGORITHMS, AaaAssociation, SecurityAssociation, parse_key
from mip4.errors import MipError
from mip4.extensions import challenge_before
from mip4.ip import Datagram, Packet
from mip4.nai import check_nai, check_sub_nai
from mip4.sub_nai import SubNai, find_sub_nai
from mobile_node.slip import SlipDecoder, SlipEncoder

REQUEST = bytes.fromhex("0102070800000000c6336401c0000201ed00378a1a2b3c4d")  # the fixed part of V3
ROOM = 3  # octets before a SLIP packet


def load(path: str) -> dict:
    with open(path) as file:
        return json.loads(file.read())


def keys_beside(path: str) -> dict:
    """Name -> SecurityAssociation or AaaAssociation, of the keys.json in the folder of `path`."""
    published = load(path[: path.rfind("/") + 1] + "keys.json")
    return {
        name: (AaaAssociation if "aaa" in row else SecurityAssociation)(
            row["spi"], parse_key(row["key"]), row["algorithm"]
        )
        for name, row in published.items()
        if isinstance(row, dict)
    }


def value(written):
    """A value as the codec wants it, from what JSON can write down."""
    if isinstance(written, list):
        return [tuple(map(value, one)) if isinstance(one, list) else value(one) for one in written]
    if not isinstance(written, str):
        return written
    if written.startswith("text:") or written.startswith("hex:"):
        return parse_key(written)
    return int(written, 16) if written.startswith("0x") else parse(written)


def class_of(row: dict):
    return getattr(extensions, row["kind"], None) or getattr(discovery, row["kind"])


def message_class(name: str):
    """Of a message by its name."""
    for module in (messages, revocation):
        if hasattr(module, name):
            return getattr(module, name)
    return getattr(discovery, name)


def record(row: dict):
    """The extension that a row describes; a row's remarks are no fields."""
    cls = class_of(row)
    return cls(**{field: value(row[field]) for field in cls.__slots__})


def build(vector: dict, keys: dict) -> bytes:
    """The message that a vector's inputs make: every extension in order, every signature computed."""
    fields = {name: value(one) for name, one in vector["fields"].items()}
    if vector["message"] == "AgentSolicitation":
        return discovery.AgentSolicitation().encode()
    if vector["message"] == "AgentAdvertisement":
        return discovery.AgentAdvertisement(extensions=[record(row) for row in vector["extensions"]], **fields).encode()
    octets = message_class(vector["message"])(extensions=[], **fields).encode()
    challenge = b""
    for row in vector["extensions"]:
        challenge = value(row["challenge"]) if "challenge" in row else challenge
        if "key" not in row:
            octets += record(row).encode()
        elif type(keys[row["key"]]) is AaaAssociation:
            octets = keys[row["key"]].sign(octets, challenge)
        else:
            octets = keys[row["key"]].sign(octets, class_of(row))
    return octets


def verify(association, message: bytes, found: list, one) -> None:
    """Raises BadAuthenticator unless `one` of the extensions `found` in `message` holds under `association`."""
    if type(association) is AaaAssociation:
        association.verify(message, one, challenge_before(found, one))
    else:
        association.verify(message, one)


def message_in(datagram: bytes) -> bytes:
    """The UDP payload or the ICMP message of an IP datagram. Raises MipError."""
    packet = Packet.decode(datagram)
    return packet.payload if packet.protocol == 1 else Datagram.decode(packet).payload


def read(octets: bytes) -> list:
    """The extensions that follow the fixed part of a request."""
    return messages.RegistrationRequest.decode(REQUEST + octets).extensions


def raised(function, *arguments) -> str:
    """The name of the MipError or ValueError that a call raises, "" for none; nothing else may be raised."""
    try:
        function(*arguments)
    except (MipError, ValueError) as error:
        return type(error).__name__
    return ""


def same(found, wanted, what: str) -> int:
    assert found == wanted, f"{what}: {found!r}, not {wanted!r}"
    return 1


def check_datagram(vector: dict, keys: dict) -> int:
    """The whole datagram is read as the fields say, and its message is made again octet for octet."""
    name, octets = vector["name"], bytes.fromhex(vector["datagram"])
    packet = Packet.decode(octets)
    for field, written in vector["ip"].items():
        same(getattr(packet, field), value(written), name + " " + field)
    message = message_in(octets)
    same(build(vector, keys), message, name + " made again")
    if "udp" in vector:
        datagram = Datagram.decode(packet)
        for field, written in vector["udp"].items():
            same(getattr(datagram, field), value(written), name + " " + field)
        same(datagram.packet(packet.ttl).payload, packet.payload, name + " UDP header")
    cls = message_class(vector["message"])
    found = cls.decode(message)
    same(cls.decode(memoryview(message)), found, name + " read through a memoryview")
    for field, written in vector["fields"].items():
        same(getattr(found, field), value(written), name + " " + field)
    for one, row in zip(getattr(found, "extensions", []), vector["extensions"]):  # noqa: B905, not on MicroPython
        same(type(one), class_of(row), name + " extension")
        for field in [field for field in one.__slots__ if field in row]:
            same(getattr(one, field), value(row[field]), "{} {} {}".format(name, row["kind"], field))
        if "key" in row:
            verify(keys[row["key"]], message, found.extensions, one)
    return same(len(getattr(found, "extensions", [])), len(vector["extensions"]), name + " extensions")


def check_tunnel(vector: dict, keys: dict) -> int:
    """The packet in message 4 is read as it says, made again octet for octet, and refused under another next header."""
    name, octets = vector["name"], bytes.fromhex(vector["datagram"])
    datagram = Datagram.decode(Packet.decode(octets))
    for field, written in vector["udp"].items():
        same(getattr(datagram, field), value(written), name + " " + field)
    payload, next_header = bytearray(datagram.payload), vector["next_header"]
    for other in (0, 4, 47, 55):
        outcome = raised(tunnel.unwrap_tunnel_data, payload, 0, len(payload), other)
        same(outcome, "" if other == next_header else "Malformed", name + " next header " + str(other))
    start = tunnel.unwrap_tunnel_data(payload, 0, len(payload), next_header)
    inner = Packet.decode(bytes(payload[start:]))
    for field, written in vector["inner"].items():
        same(getattr(inner, field), value(written), name + " inner " + field)
    payload[:start] = bytes(start)
    same(tunnel.wrap_tunnel_data(payload, start, next_header), 0, name + " room")
    return same(bytes(payload), datagram.payload, name + " made again")


def check_extensions(vector: dict, keys: dict) -> int:
    """Each extension is read and made; its shortest body is the shortest, its longest the longest."""
    for row in vector["rows"]:
        octets, good = bytes.fromhex(row["octets"]), record(row)
        header = 4 if octets[0] in (36, 38, 48) else 2
        same(good.encode(), octets, row["sentence"])
        same(read(octets), [good], row["sentence"])
        for end in range(1, len(octets)):
            same(raised(read, octets[:end]), "Malformed", row["sentence"] + f", {end} octets")
        for size in range(row["shortest"] + 1):
            # A reader of a later RFC may find more octets than it knows, and never fewer.
            body = octets[header:][:size]
            short = octets[: header - 1] + bytes([len(body)]) + body
            wanted = "Malformed" if len(body) < row["shortest"] else ""
            same(raised(read, short), wanted, row["sentence"] + f", body of {size}")
        if "grows" in row:
            setattr(good, row["grows"], bytes(row["longest"]))
            same(read(good.encode()), [good], row["sentence"] + ", longest")
            setattr(good, row["grows"], bytes(row["longest"] + 1))
            same(raised(good.encode), "ValueError", row["sentence"] + ", too long")
    return len(vector["rows"])


def check_areas(vector: dict, keys: dict) -> int:
    """What follows the fixed part of a request is read as these extensions, or refused with that error."""
    for row in vector["rows"]:
        octets = bytes.fromhex(row["octets"])
        same(raised(read, octets), row.get("error", ""), row["sentence"])
        if "gives" in row:
            same([type(one).__name__ for one in read(octets)], row["gives"], row["sentence"])
    return len(vector["rows"])


def check_derived(vector: dict, keys: dict) -> int:
    """A damaged vector is refused in the way it deserves; "holds" says which signatures still do."""
    for row in vector["rows"]:
        octets = bytes.fromhex(row["datagram"])
        message = message_in(octets)
        cls = messages.RegistrationRequest if message[0] == 1 else messages.RegistrationReply
        same(raised(cls.decode, message), row.get("error", ""), row["sentence"])
        if "error" in row:
            continue
        holds = {}
        found = cls.decode(message).extensions
        for one in found:
            for association in keys.values():
                if hasattr(one, "spi") and one.spi == association.spi:
                    holds[type(one).__name__] = raised(verify, association, message, found, one) == ""
        same(holds, row["holds"], row["sentence"])
    return len(vector["rows"])


def check_sub_nais(vector: dict, keys: dict) -> int:
    """A sub-NAI in either carrier and sub-type, as the reader that knows `vendor` sees it."""
    for row in vector["rows"]:
        nai, octets = value(row["nai"]), bytes.fromhex(row["octets"])
        found = read(octets)
        if "error" in row:
            same(raised(find_sub_nai, found, row["vendor"], nai), row["error"], row["sentence"])
            continue
        wanted = None
        if row["gives"]:
            inner = nai if row["gives"]["with_nai"] else None
            wanted = SubNai(value(row["gives"]["sub_nai"]), row["gives"]["vendor"], inner)
            same(wanted.extension().encode(), octets, row["sentence"] + ", made")
        same(find_sub_nai(found, row["vendor"], nai), wanted, row["sentence"])
    return len(vector["rows"])


def check_digests(vector: dict, keys: dict) -> int:
    """An algorithm, a key and octets make this digest."""
    for row in vector["rows"]:
        digest = ALGORITHMS[row["algorithm"]](value(row["key"]))(value(row["octets"]))
        same(digest, value(row["digest"]), row["sentence"])
    return len(vector["rows"])


def check_names(vector: dict, keys: dict) -> int:
    """NAIs and sub-NAIs that are taken as they are, and those that are not."""
    for judge, sort in ((check_nai, "nai"), (check_sub_nai, "sub_nai")):
        for written in vector[sort]["accepted"]:
            same(judge(value(written)).encode(), value(written), written)
        for written in vector[sort]["refused"]:
            same(raised(judge, value(written)), "Malformed", written)
    return sum([len(names) for sort in ("nai", "sub_nai") for names in vector[sort].values()])


def check_arp(vector: dict, keys: dict) -> int:
    """An ARP packet is read as these fields, and made of them again; or refused."""
    for row in vector["rows"]:
        octets = bytes.fromhex(row["octets"].replace(" ", ""))
        if "error" in row:
            same(raised(arp.Arp.decode, octets), row["error"], row["sentence"])
            continue
        found = arp.Arp.decode(octets)
        same(found, arp.Arp(**{name: value(one) for name, one in row["fields"].items()}), row["sentence"])
        same(found.encode(), octets[:28], row["sentence"] + ", made")
        if "makes" in row:
            same(getattr(arp, row["makes"][0])(*map(value, row["makes"][1:])), found, row["sentence"] + ", said")
    return len(vector["rows"])


def packets_in(decoder: SlipDecoder, pieces: list) -> list:
    """What a decoder makes of a line that brings these pieces, octets as text."""
    found = []
    for piece in pieces:
        at = 0
        while at < len(piece):
            at = decoder.take(piece, at, len(piece))
            if decoder.size:
                found.append(bytes(decoder.packet[ROOM : ROOM + decoder.size]).hex())
    return found


def check_slip(vector: dict, keys: dict) -> int:
    """The packets are found wherever the line's octets are cut, and encoded as the standard has them."""
    for row in vector["rows"]:
        octets = bytes.fromhex(row["octets"])
        cuts = [[octets[at : at + size] for at in range(0, len(octets), size)] for size in (1, 2, 3, 5, 64)]
        for pieces in cuts + [[octets[:at], octets[at:]] for at in range(len(octets))]:
            decoder = SlipDecoder(vector["longest"], ROOM)
            same(packets_in(decoder, pieces), row["packets"], row["sentence"])
            same(decoder.dropped, row.get("dropped", 0), row["sentence"] + ", dropped")
        encoder, out = SlipEncoder(64), bytearray(64)
        for packet in row["packets"]:
            same(encoder.put(b"\xc0" + bytes.fromhex(packet) + b"\xdb", 1, 1 + len(packet) // 2), True, row["sentence"])
        if "makes" in row:
            same(out[: encoder.peek(out)].hex(), row["makes"], row["sentence"] + ", made")
    return len(vector["rows"])


CHECKS = {
    "arp": check_arp,
    "slip": check_slip,
    "datagram": check_datagram,
    "tunnel": check_tunnel,
    "extensions": check_extensions,
    "areas": check_areas,
    "derived": check_derived,
    "sub_nais": check_sub_nais,
    "digests": check_digests,
    "names": check_names,
}


def check(path: str) -> int:
    """Keep the promises of one vector file. path: with a slash in it. Raises AssertionError."""
    vector = load(path)
    return CHECKS[vector["check"]](vector, keys_beside(path))
