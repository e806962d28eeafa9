"""`entourage ha capture` and `fa capture`: one session's packets, inside and outside the tunnel, for Wireshark."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from host_agents.cli.numbers import real, whole
from host_agents.decoder.pcapng_writer import PcapngWriter
from host_agents.runtime.errors import ConfigurationError, KernelRefused
from host_agents.runtime.session_capture import SessionCapture

_LOOK = 1.0  # seconds between looks at which addresses the sessions have
Addresses = Callable[[], list[int]]


class Session(TypedDict):
    """What has to be known of a session that is captured."""

    home_address: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "For example: entourage ha capture kleung@example.net KleungPC1 | wireshark -k -i -"
    parser.add_argument("nai", metavar="NAI")
    parser.add_argument("sub_nai", nargs="?", metavar="SUB_NAI", help='default: all its sessions; "": the node\'s own')
    parser.add_argument("--write", type=Path, metavar="FILE", help="instead of stdout")
    parser.add_argument(
        "--seconds",
        type=real(0.1, 1e6),
        metavar="N",
        help="for so long; default: until Ctrl-C or Wireshark ends",
    )
    parser.add_argument("--packets", type=whole(1, 10**9), metavar="N", help="so many at most")
    parser.add_argument(
        "--megabytes", type=whole(1, 10**6), default=256, metavar="N", help="so much at most (default 256)"
    )


def run(args: argparse.Namespace, known: list[int], addresses: Addresses) -> int:
    """known: addresses that the wanted sessions have now.

    addresses: looks again; it raises OSError or ValueError while the daemon does not answer. Raises KernelRefused.
    """
    if args.write is None and sys.stdout.isatty():
        raise ConfigurationError(
            "capture: pcapng on a terminal is no use: --write FILE, or a pipe to wireshark -k -i -"
        )
    if not known:
        print("entourage: nobody of that name is registered now; its registrations will be seen", file=sys.stderr)
    with contextlib.closing(SessionCapture(args.nai, args.sub_nai)) as capture, _opened(args.write) as file:
        capture.follow(set(known))
        with contextlib.suppress(BrokenPipeError):
            writer = PcapngWriter(file)
            with contextlib.suppress(KeyboardInterrupt):
                _stream(args, capture, writer, addresses)
            _pass_on(args, capture, writer, 0)  # what came before Ctrl-C
        print(f"entourage: {capture.taken} packets, {capture.dropped()} lost by the kernel", file=sys.stderr)
    return 0


def _stream(args: argparse.Namespace, capture: SessionCapture, writer: PcapngWriter, addresses: Addresses) -> None:
    """Until one of the limits; each packet is passed on at once. Raises BrokenPipeError, KeyboardInterrupt."""
    ends = None if args.seconds is None else time.monotonic() + args.seconds
    looks = time.monotonic() + _LOOK
    while True:
        now = time.monotonic()
        if now >= looks:
            try:
                found = addresses()
            except (OSError, ValueError):
                pass  # while the daemon restarts, what was known stays true
            else:
                capture.follow(set(found))
            looks = now + _LOOK
        until = min(looks, ends or looks)
        _pass_on(args, capture, writer, max(0.0, until - now))
        if _is_full(args, capture, writer) or (ends is not None and time.monotonic() >= ends):
            return


def _pass_on(args: argparse.Namespace, capture: SessionCapture, writer: PcapngWriter, seconds: float) -> None:
    """What comes within that time, as far as there is room. Raises BrokenPipeError."""
    if not _is_full(args, capture, writer):
        for packet in capture.packets(seconds):
            writer.write(packet.interface, packet.time, packet.octets, packet.size)
            if _is_full(args, capture, writer):
                break
    writer.flush()


def _is_full(args: argparse.Namespace, capture: SessionCapture, writer: PcapngWriter) -> bool:
    return bool(capture.taken == args.packets or writer.size >= args.megabytes << 20)


@contextlib.contextmanager
def _opened(path: Path | None) -> Any:
    """Where it goes: a file that only its owner reads, or stdout.

    A file has its name from the beginning: who looks for the end of something wants what came before it, whatever that
    end does to us. Raises ConfigurationError, KernelRefused.
    """
    if path is None:
        yield sys.stdout.buffer
        return
    file: BinaryIO
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}")
    with open(descriptor, "wb", buffering=0) as file:
        try:
            yield file
        except OSError as error:
            raise KernelRefused(str(path), f"{error.strerror}; what was captured before is there, and whole") from error
