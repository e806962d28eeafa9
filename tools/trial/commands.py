"""`entourage trial start|stop|mark|status|fetch|import|merge|report|lab|speed`: the field trial on the command line."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from host_agents.cli.numbers import real, whole
from host_agents.cli.show import print_json
from host_agents.store.whole_file import whole_file
from tools.trial import clocks, flight, importing, page, pdf, speed, tables, trial_file
from tools.trial.errors import TrialFailed
from tools.trial.figures import Figures
from tools.trial.node import Local
from tools.trial.trial_file import Trial

Handler = Callable[[argparse.Namespace], int]
_ABOUT = """A field trial: a node's flight recorder, what agents saw, and a report of every gap.

  entourage trial start --config node.json              then drive; `mark` where something is to be found again
  entourage trial fetch --config node.json node.trial   or --port PORT, from a board
  entourage trial import ha.pcap ha.trial               a capture at an agent; also agents' events, and GPX tracks
  entourage trial merge node.trial ha.trial all.trial   by one clock; says how far the clocks are apart
  entourage trial report all.trial report.html --pdf    one page, and CSV beside it"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `trial`. Each sub-command sets `handler`: parsed arguments -> exit code."""
    trial = subparsers.add_parser("trial", help="field trials: record, fetch, merge, report", description=_ABOUT)
    trial.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = trial.add_subparsers(required=True, metavar="COMMAND")
    for name, text in (
        ("start", "have the node's flight recorder record"),
        ("stop", "have it record no more"),
        ("mark", "note this moment"),
        ("status", "whether it records, and how much it has"),
    ):
        asking = _add(commands, name, _ask, text)
        asking.set_defaults(what=name)
        _where(asking)
    fetch = _add(commands, "fetch", _fetch, "bring what the recorder kept into a trial file")
    _where(fetch)
    fetch.add_argument("out", type=Path, metavar="OUT")

    bring = _add(commands, "import", _import, "make a trial file of a capture, of an agent's events or of a GPX track")
    bring.add_argument("file", type=Path, metavar="FILE", help="pcap, pcapng, JSON lines or GPX")
    bring.add_argument("out", type=Path, metavar="OUT")
    bring.add_argument("--source", default="ha", metavar="NAME", help="whose clock it is by: ha, fa1, ... (default ha)")

    merge = _add(commands, "merge", _merge, "join trial files by one clock")
    merge.add_argument("files", type=Path, nargs="+", metavar="FILE")
    merge.add_argument("out", type=Path, metavar="OUT")

    report = _add(commands, "report", _report, "write the report, and CSV files beside it")
    report.add_argument("file", type=Path, metavar="FILE", help="a trial file")
    report.add_argument("out", type=Path, metavar="OUT.html")
    report.add_argument("--title", default="", metavar="TEXT", help="instead of the node's NAI")
    report.add_argument(
        "--network", action="append", type=_named, default=[], metavar="ADDRESS=NAME", help="what to call a network"
    )
    report.add_argument("--pdf", action="store_true", help="also OUT.pdf, printed by Chromium")

    lab = _add(commands, "lab", _lab, "a synthetic drive in the lab, its report, and whether it is true")
    lab.add_argument("--roams", type=whole(1, 10_000), default=20, metavar="N", help="default 20")
    # Sooner a node is not there where it hears no agent: it asks three times, and then for an address.
    lab.add_argument("--stay", type=real(1.5, 3600), default=2.0, metavar="SECONDS", help="at each network (default 2)")
    lab.add_argument("--out", type=Path, default=Path("trial"), metavar="FOLDER", help="default trial")
    lab.add_argument("--pdf", action="store_true", help="the report as PDF, too")

    measure = _add(
        commands, "speed", speed.run, "from a device: how fast is each hop to the home agent, and which is slow"
    )
    speed.add_arguments(measure)


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, handler: Handler, text: str
) -> argparse.ArgumentParser:
    def reporting(arguments: argparse.Namespace) -> int:
        try:
            return handler(arguments)
        except TrialFailed as error:
            print(f"entourage trial {name}: {error}", file=sys.stderr)
            return 1

    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(handler=reporting)
    return parser


def _named(text: str) -> tuple[str, str]:
    address, sign, name = text.partition("=")
    if not sign or not name or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text} is no ADDRESS=NAME, like 203.0.113.2=office")
    return address, name


def _where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--config", type=Path, metavar="FILE", help="the JSON file of a node on this machine")
    where.add_argument("--port", type=str, metavar="PORT", help="a board, as `entourage board` has it")


def _node(arguments: argparse.Namespace) -> Any:
    """A Local or a Board, which are asked alike."""
    if arguments.config:
        return Local(arguments.config)
    missing = [one for one in ("mpremote", "serial") if importlib.util.find_spec(one) is None]
    if missing:
        raise TrialFailed(f"{', '.join(missing)}: not installed; the extra `board` of this package brings it")
    from tools.trial.board import Board  # what it works with is not on a router

    return Board(arguments.port)


def _ask(arguments: argparse.Namespace) -> int:
    print_json(_node(arguments).ask(arguments.what))
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    return _keep(flight.events(_node(arguments).fetch()), arguments.out)


def _import(arguments: argparse.Namespace) -> int:
    _keep_apart(arguments.out, [arguments.file])
    return _keep(importing.load(arguments.file, arguments.source), arguments.out)


def _keep(trial: Trial, out: Path) -> int:
    trial_file.write(trial, out)
    print(f"{out}: {len(trial.events)} events")
    return 0


def _keep_apart(out: Path, files: Sequence[Path]) -> None:
    """Raises TrialFailed: what is read is not to be replaced by what is made of it."""
    for file in files:
        if out.exists() and file.exists() and out.samefile(file):
            raise TrialFailed(f"{out}: would be replaced by what is made of it")


def _merge(arguments: argparse.Namespace) -> int:
    _keep_apart(arguments.out, arguments.files)
    trial = clocks.merge([trial_file.read(path) for path in arguments.files])
    if arguments.out.is_file() and trial_file.is_recording(arguments.out):
        raise TrialFailed(f"{arguments.out}: a recording itself, and would be replaced: OUT is the last word")
    for clock in trial.clocks:
        known = clock["offset_ms"] is not None
        ahead = f"{clock['offset_ms']:+.1f} ms ± {clock['uncertainty_ms']:.1f} ms" if known else "an unknown time"
        print(f"the clock of {clock['source']} is ahead of the node's by {ahead}")
    return _keep(trial, arguments.out)


def _report(arguments: argparse.Namespace) -> int:
    _keep_apart(arguments.out, [arguments.file])
    trial = trial_file.read(arguments.file)
    written = write_report(Figures.of(trial, dict(arguments.network)), arguments.out, arguments.title, arguments.pdf)
    print(", ".join(str(path) for path in written))
    return 0


def write_report(figures: Figures, out: Path, title: str = "", printed: bool = False) -> list[Path]:
    """The page, its CSV files and, if it is to be printed, a PDF. Raises TrialFailed."""
    text = page.page(figures, title)
    try:
        with whole_file(out) as beside:
            beside.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrialFailed(f"{out}: {error.strerror}")
    written = [out, *tables.write(figures, out)]
    if printed:
        pdf.print_page(out, out.with_suffix(".pdf"))
        written.append(out.with_suffix(".pdf"))
    return written


def _lab(arguments: argparse.Namespace) -> int:
    from tools.trial import lab_trial

    return lab_trial.run(arguments.out, arguments.roams, arguments.stay, arguments.pdf)
