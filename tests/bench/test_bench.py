"""What every bench gets from the framework: its figures judged, shown, written down and drawn."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from host_agents.cli.main import main
from tools.bench import plot, report
from tools.bench.bench import BenchFailed, Goal, Progress, Record, Row
from tools.bench.commands import measure
from tools.bench.native import compiled
from tools.bench.sample import Sample

RECORD = Record(
    [
        Row("crawl, forth", "m/s", Sample([4, 9, 2]), Sample([2, 3, 4]), Goal.at_least(2)),
        Row("crawl, back", "m/s", Sample([1234567]), goal=Goal.at_most(5)),
    ],
    {"swimming_over_plain": 2.0, "laps": {"8": {"0": 1.5}}},
    ["no [red] water"],
)


def swims(quick):
    yield Progress(0.5, "swimming")
    return RECORD


def test_what_cannot_be_written_is_said_before_anything_is_measured(tmp_path, capsys):
    for option, path in (("--json", tmp_path), ("--json", tmp_path / "nowhere/bench.json"), ("--plot", tmp_path)):
        assert main(["bench", "scale", option, str(path)]) == 1

        assert capsys.readouterr() == ("", f"entourage bench: {path}: nothing can be written there\n")


def test_a_sample_tells_median_and_quartiles_whatever_the_order():
    sample = Sample([40, 10, 30, 20, 1000])

    assert sample.median == 30
    assert sample.quartiles == (20, 40)


def test_the_quartiles_of_an_even_sample_lie_between_its_values():
    assert Sample([1, 2, 3, 4]).median == 2.5
    assert Sample([1, 2, 3, 4]).quartiles == (1.75, 3.25)


def test_a_single_measurement_is_its_own_quartiles():
    assert Sample([7]).quartiles == (7, 7)


def test_nothing_is_no_sample():
    with pytest.raises(ValueError):
        Sample([])


def test_a_ratio_is_that_of_neighbours_so_that_what_slows_both_down_goes_out_of_it():
    ours, plain = Sample([50, 10, 90]), Sample([100, 20, 180])

    assert ours.over(plain).values == (0.5, 0.5, 0.5)


def test_a_ratio_needs_a_neighbour_for_each_measurement():
    with pytest.raises(ValueError):
        Sample([1, 2]).over(Sample([1]))


def test_a_goal_is_for_the_ratio_where_there_is_a_baseline_and_for_the_median_where_there_is_none():
    assert [row.met for row in RECORD.rows] == [True, False]
    assert Row("crawl", "m/s", Sample([1])).met is None


def test_the_table_shows_each_figure_beside_the_plain_one(capsys):
    out = io.StringIO()

    records = measure({"swimming": swims}, True, Console(file=out, width=120))

    assert records == {"swimming": RECORD}
    forth, back = (line for line in out.getvalue().splitlines() if "crawl" in line)
    assert [word for word in ("4.00", "3.00 – 6.50", "plain 3.00", "2.00", "≥ 2 ✓", "m/s") if word not in forth] == []
    assert [word for word in ("1,234,567", "≤ 5 ✗", "m/s") if word not in back] == []
    assert "no [red] water" in out.getvalue()


def test_a_bench_that_cannot_measure_says_why_and_the_others_still_run(capsys):
    def sinks(quick):
        yield Progress(0, "sinking")
        raise BenchFailed("no water")

    records = measure({"sinking": sinks, "swimming": swims}, True, Console(file=io.StringIO()))

    assert list(records) == ["swimming"]
    assert "entourage bench sinking: no water" in capsys.readouterr().err


def test_a_bench_that_is_interrupted_cleans_up_after_itself():
    ended = []

    def swims_for_ever(quick):
        try:
            yield Progress(0, "swimming")
            raise KeyboardInterrupt
        finally:
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        measure({"swimming": swims_for_ever}, True, Console(file=io.StringIO()))

    assert ended == [True]


def test_the_json_file_has_an_object_for_each_bench_with_its_keys_flat(tmp_path):
    report.write_json(tmp_path / "bench.json", {"swimming": RECORD})

    found = json.loads((tmp_path / "bench.json").read_text())
    assert list(found) == ["swimming"]
    assert found["swimming"]["swimming_over_plain"] == 2.0
    assert found["swimming"]["laps"] == {"8": {"0": 1.5}}
    assert found["swimming"]["rows"][0]["baseline"]["values"] == [2, 3, 4]
    assert found["swimming"]["rows"][0]["ratio"] == 2
    assert found["swimming"]["machine"]["cores"] >= 1


def test_the_plot_is_a_png(tmp_path):
    plot.draw(tmp_path / "bench.png", {"swimming": RECORD, "walking": RECORD})

    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_bench_that_nobody_has_written_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as error:
        main(["bench", "swimming"])

    assert error.value.code == 2
    assert "no bench is called swimming" in capsys.readouterr().err


def test_where_the_load_is_not_there_a_checkout_is_asked_for(tmp_path):
    with pytest.raises(BenchFailed, match=r"load\.c is not here: this bench runs from a checkout"):
        compiled(tmp_path / "load.c", tmp_path)


def test_a_load_that_does_not_compile_says_where(tmp_path):
    (tmp_path / "broken.c").write_text("int main(void) { return nothing; }\n")

    with pytest.raises(BenchFailed, match=r"broken\.c"):
        compiled(tmp_path / "broken.c", tmp_path)
