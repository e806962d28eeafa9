"""Trial files: what is written is read again, and what is none is refused with file, line and reason."""

import json

import pytest

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
        ([json.dumps(HEAD), " " * 5000], "line 2: more than a trial file has"),
    ],
)
def test_what_is_no_trial_file_is_refused_with_the_reason(tmp_path, lines, reason):
    (tmp_path / "bad.trial").write_text("".join(line + "\n" for line in lines))

    with pytest.raises(TrialFailed, match=reason) as refused:
        trial_file.read(tmp_path / "bad.trial")
    assert str(tmp_path / "bad.trial") in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    (tmp_path / "octets").write_bytes(b"\xff\xfe\x00")

    for name in ("nothing", "octets"):
        with pytest.raises(TrialFailed, match=name):
            trial_file.read(tmp_path / name)
