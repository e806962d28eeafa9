"""`entourage bench`: run benches, show what they found."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from host_agents.runtime.errors import KernelRefused
from host_agents.store.whole_file import can_be_made
from tools.bench import plot, report
from tools.bench.bench import BENCHES, BenchFailed, Record, Run
from tools.lab.errors import LabFailed


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `bench`. It sets `handler`: parsed arguments -> exit code."""
    lines = [f"  {name:14}{text}" for name, text in BENCHES.items()]
    description = "\n".join(["Measure, each thing beside a plain one in the same run:", "", *lines])
    bench = subparsers.add_parser("bench", help="measure: datapath, registrations, handoffs", description=description)
    bench.formatter_class = argparse.RawDescriptionHelpFormatter
    bench.add_argument("names", nargs="*", type=_name, metavar="NAME", help="which; all of them if none is named")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write one JSON document, an object for each bench")
    bench.add_argument("--plot", type=Path, metavar="FILE.png", help="draw medians and quartiles")
    bench.add_argument("--quick", action="store_true", help="a few seconds each, to see that it works: no figures")
    bench.set_defaults(handler=_bench)


def _name(text: str) -> str:
    if text not in BENCHES:
        raise argparse.ArgumentTypeError(f"no bench is called {text}: there are {', '.join(BENCHES)}")
    return text


def _bench(arguments: argparse.Namespace) -> int:
    """0 only if every bench found something. Goals that are missed are shown, and do not fail it."""
    names = list(dict.fromkeys(arguments.names or BENCHES))
    try:
        if arguments.plot:
            plot.check()
        for path in filter(None, (arguments.json, arguments.plot)):
            if not can_be_made(path):
                raise BenchFailed(f"{path}: nothing can be written there")
        benches: dict[str, Run] = {name: importlib.import_module(f"tools.bench.{name}").run for name in names}
        records = measure(benches, arguments.quick, Console(width=None if sys.stdout.isatty() else 120))
        _keep(records, arguments.json, arguments.plot)
    except (BenchFailed, OSError) as error:
        print(f"entourage bench: {error}", file=sys.stderr)
        return 1
    return 0 if len(records) == len(names) else 1


def _keep(records: Mapping[str, Record], document: Path | None, picture: Path | None) -> None:
    """Raises BenchFailed."""
    try:
        if document:
            report.write_json(document, records)
        if picture and records:
            plot.draw(picture, records)
    except OSError as error:
        raise BenchFailed(f"{error.filename}: {error.strerror}") from error


def measure(benches: Mapping[str, Run], quick: bool, console: Console) -> dict[str, Record]:
    """Run them one after another, each shown as it ends. One that fails says why on stderr; the others still run."""
    records: dict[str, Record] = {}
    for name, run in benches.items():
        try:
            record = _watched(name, run, quick)
        except (BenchFailed, LabFailed, KernelRefused) as error:
            print(f"entourage bench {name}: {error}", file=sys.stderr)
            continue
        records[name] = record
        console.print(report.table(name, record))
        for note in record.notes:
            console.print(f"  {note}", highlight=False, markup=False)
    return records


def _watched(name: str, run: Run, quick: bool) -> Record:
    """Run one, its bar on stderr. The bar is drawn when the bench speaks: a thread would hinder the rootless lab."""
    columns = TextColumn(name), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        running = run(quick)
        try:
            while True:
                step = next(running)
                bar.update(task, completed=step.done, description=step.doing, refresh=True)
        except StopIteration as ended:
            record: Record = ended.value
            return record
        finally:
            running.close()
