"""Trial files: what is written is read again, and what is none is refused with file, line and reason."""

import json

import pytest

from host_agents.cli.main import main
from tools.trial import trial_file
from tools.trial.errors import TrialFailed
from tools.trial.trial_file import Trial

HEAD = {"format": "entourage trial", "version": 1, "source": "node", "nai": "kleung@example.net"}


def test_what_is_written_is_read_again_in_order_of_time(tmp_path):
    events = [{"at": 2, "source": "node", "event": "mark"}, {"at": 1, "source": "node", "event": "link_down"}]

    trial_file.write(Trial("node", events, "kleung@example.net"), tmp_path / "node.trial")

    found = trial_file.read(tmp_path / "node.trial")
    assert (found.source, found.nai) == ("node", "kleung@example.net")
    assert found.events == [events[1], events[0]]


@pytest.mark.parametrize(
    "lines, reason",
    [
        ([], "empty"),
        (["hello"], "line 1: not JSON"),
        (['{"format": "another"}'], "no trial file"),
        ([json.dumps({**HEAD, "version": 2})], "version 2; this program reads 1"),
        ([json.dumps(HEAD), "{"], "line 2: not JSON"),
        ([json.dumps(HEAD), '{"at": "now", "event": "mark"}'], "line 2: not an event"),
        ([json.dumps(HEAD), '{"at": 1}'], "line 2: not an event"),
        ([json.dumps(HEAD), "[1]"], "line 2: not an event"),
        ([json.dumps({**HEAD, "source": [1]})], "line 1: source: Expected `str`, got `array`"),
        ([json.dumps({**HEAD, "clocks": [{"at": 1}]})], r"line 1: clocks\[0\]: .*missing required field"),
        ([json.dumps(HEAD), "[" * 4000], "line 2: not JSON"),
        ([json.dumps(HEAD), '{"at": 1, "event": "reply"}'], "line 2: reply: identification is missing"),
        ([json.dumps(HEAD), '{"at": 1, "event": "sample", "latitude": 7}'], "line 2: sample: longitude is missing"),
        ([json.dumps(HEAD), '{"at": 1, "event": "x", "latitude": NaN}'], "line 2: latitude: Expected `float` >= -90.0"),
        ([json.dumps(HEAD), '{"at": 1, "event": "x", "rssi": []}'], r"line 2: rssi: Expected `float \| null`"),
        ([json.dumps(HEAD), '{"at": 1, "event": []}'], "line 2: event: Expected `str`, got `array`"),
        ([json.dumps(HEAD), '{"at": 1e3, "event": "x"}'], "line 2: not an event"),
        ([json.dumps(HEAD), '{"at": 99999999999999999, "event": "x"}'], "line 2: at: Expected `int` <= "),
        ([json.dumps(HEAD), " " * 5000], "line 2: more than a trial file has"),
    ],
)
def test_what_is_no_trial_file_is_refused_with_the_reason(tmp_path, lines, reason):
    (tmp_path / "bad.trial").write_text("".join(line + "\n" for line in lines))

    with pytest.raises(TrialFailed, match=reason) as refused:
        trial_file.read(tmp_path / "bad.trial")
    assert str(tmp_path / "bad.trial") in str(refused.value)


@pytest.mark.parametrize(
    "words, reason",
    [
        ("import {0} {0}", "would be replaced by what is made of it"),
        ("report {0} {0}", "would be replaced by what is made of it"),
        ("merge {0} {1} {0}", "would be replaced by what is made of it"),
        ("merge {0} {1}", "a recording itself, and would be replaced: OUT is the last word"),
    ],
)
def test_no_recording_is_lost_by_a_word_that_was_forgotten(tmp_path, capsys, words, reason):
    files = [tmp_path / "node.trial", tmp_path / "ha.trial"]
    for path, source in zip(files, ("node", "ha"), strict=True):
        trial_file.write(Trial(source, [{"at": 1, "event": "mark"}]), path)
    before = [path.read_bytes() for path in files]

    assert main(["trial", *words.format(*files).split()]) == 1

    named = files[1] if words == "merge {0} {1}" else files[0]
    assert capsys.readouterr().err == f"entourage trial {words.split()[0]}: {named}: {reason}\n"
    assert [path.read_bytes() for path in files] == before


def test_what_was_merged_before_is_merged_again_in_its_place(tmp_path, capsys):
    trial_file.write(Trial("node", [{"at": 1, "event": "mark"}]), tmp_path / "node.trial")

    for _ in range(2):
        assert main(["trial", "merge", str(tmp_path / "node.trial"), str(tmp_path / "all.trial")]) == 0

    assert trial_file.read(tmp_path / "all.trial").source == "merged"


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    (tmp_path / "octets").write_bytes(b"\xff\xfe\x00")

    for name in ("nothing", "octets"):
        with pytest.raises(TrialFailed, match=name):
            trial_file.read(tmp_path / name)
