"""`entourage decode`: a capture's Mobile IP, or a message given as hexadecimal, in words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from host_agents.cli.numbers import whole
from host_agents.cli.show import print_json
from host_agents.decoder.capture import read_packets
from host_agents.decoder.discovery import describe_discovery
from host_agents.decoder.keyring import Keyring
from host_agents.decoder.network import LINK_TYPES
from host_agents.decoder.packet import Reader, Seen
from host_agents.decoder.show import document, lines
from host_agents.decoder.source import CaptureFault
from host_agents.runtime.errors import ConfigurationError
from mip4.errors import Malformed

_FORMS = ("ip", "icmp", "udp")


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `decode`."""
    decode = subparsers.add_parser("decode", help="a capture's Mobile IP, or a message in hexadecimal, in words")
    text = "pcap or pcapng; or octets, blanks and colons allowed"
    decode.add_argument("what", type=str, metavar="FILE|HEX", help=text)
    decode.add_argument("--as", dest="form", choices=_FORMS, help="what HEX is: found out from the octets if not said")
    decode.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="SPI=[ALGORITHM:]hex:…",
        help="verify with this key; others on this machine can see it, unlike --keys",
    )
    decode.add_argument(
        "--keys",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="with those of ha.toml, fa.toml, node.json",
    )
    decode.add_argument(
        "--sub-nai-vendor",
        type=whole(0, 0xFFFFFFFF),
        default=0,
        metavar="N",
        help="enterprise number that carries sub-NAIs (carrier B)",
    )
    decode.add_argument("--tunnel", action="store_true", help="a line for each tunnelled packet as well")
    decode.add_argument("--json", action="store_true", help="one JSON document on stdout")
    decode.set_defaults(handler=_decode)


def _decode(args: argparse.Namespace) -> int:
    keys = _keys(args)
    path = Path(args.what)
    if args.what and _exists(path):
        return _decode_file(path, args, Reader(keys, args.sub_nai_vendor, args.tunnel))
    octets = _octets(args.what)
    if not octets:
        raise ConfigurationError(f"decode: {args.what[:80]!r} is neither a file nor hexadecimal")
    return _decode_octets(octets, args, Reader(keys, args.sub_nai_vendor, tunnel=True))


def _keys(args: argparse.Namespace) -> Keyring:
    keys = Keyring()
    for at, text in enumerate(args.key):
        try:
            keys.add(text)
        except ValueError as error:
            raise ConfigurationError(f"decode: --key number {at + 1}: {error}") from None
    for path in args.keys:
        keys.load(path)
    return keys


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # to look into its folder
        return True
    except OSError:  # too long for a name
        return False


def _octets(text: str) -> bytes | None:
    """What a hexadecimal text says, None if it is none."""
    try:
        return bytes.fromhex(text.removeprefix("0x").replace(":", " "))
    except ValueError:
        return None


def _decode_octets(octets: bytes, args: argparse.Namespace, reader: Reader) -> int:
    try:
        if args.form == "ip":
            seen = reader.packet(octets)
        elif args.form == "icmp":
            seen = Seen(describe_discovery(octets))
        else:
            seen = Seen(reader.datagram(octets)) if args.form == "udp" else reader.guess(octets)
    except Malformed as error:
        return _fail(f"decode: no IP packet: {error}")
    if seen is None:
        return _fail("decode: no Mobile IP in these octets")
    if args.json:
        print_json({"messages": [document(seen)]})
    else:
        print("\n".join(lines(seen)))
    return 0


def _decode_file(path: Path, args: argparse.Namespace, reader: Reader) -> int:
    """What stands before a fault is shown; then the fault is told, and the command has failed."""
    count, fault, strangers = _Count(), "", set[int]()
    documents: list[dict[str, Any]] = []
    try:
        for seen in _messages(path, reader, count, strangers):
            if args.json:
                documents.append(document(seen))
            else:
                print("\n".join(lines(seen)), end="\n\n")
    except CaptureFault as error:
        fault = f"{'truncated: ' if error.cut else ''}{error}"
    except BrokenPipeError:
        raise  # it is not the capture that is broken: who read our output has gone
    except OSError as error:
        fault = error.strerror or str(error)
    if args.json and (count.packets or not fault):
        print_json({"packets": count.packets, "messages": documents, "fault": fault or None})
    elif not args.json and not fault:
        print(f"{count.messages} Mobile IP messages in {count.packets} packets")
    for link_type in sorted(strangers):
        print(f"entourage: decode: {path}: packets of link type {link_type} are not read", file=sys.stderr)
    if fault:
        read = f"; {count.messages} Mobile IP messages in {count.packets} packets before that" if count.packets else ""
        return _fail(f"decode: {path}: {fault}{read}")
    return 0


class _Count:
    """How many packets were read, and how many of them were Mobile IP."""

    def __init__(self) -> None:
        self.packets = 0
        self.messages = 0


def _messages(path: Path, reader: Reader, count: _Count, strangers: set[int]) -> Iterator[Seen]:
    """Raises CaptureFault, OSError."""
    with open(path, "rb") as file:
        for captured in read_packets(file):
            count.packets += 1
            if captured.link_type not in LINK_TYPES:
                strangers.add(captured.link_type)
            seen = reader.frame(captured)
            if seen is not None:
                count.messages += 1
                yield seen


def _fail(reason: str) -> int:
    print(f"entourage: {reason}", file=sys.stderr)
    return 1
