"""What holds a report against the lab's truth finds what is not so."""

import dataclasses

import pytest

from tests.trial.builders import HOMES, T0, a_handoff, event
from tools.trial import check
from tools.trial.drive import Roam, Truth
from tools.trial.figures import Figures
from tools.trial.trial_file import Trial

DOWN = T0 / 1000


def the_truth(gap: float = 0.063, cause: str = "link") -> Truth:
    times = [DOWN - 0.001 - n * 0.002 for n in range(100)] + [DOWN - 0.001 + gap + n * 0.002 for n in range(500)]
    truth = Truth([Roam("fa1", DOWN, cause)], {HOMES["pc1"]: sorted(times)}, {HOMES["pc1"]: "pc1"}, DOWN - 1, DOWN + 1)
    return truth


def the_figures() -> Figures:
    truth = the_truth()
    places = []
    for at in (-500, 0, 500):
        latitude, longitude = truth.place((T0 + at) / 1000)
        places.append(event(at, "sample", latitude=latitude, longitude=longitude, gps_time=T0 + at))
    clock = {"source": "ha", "at": T0, "offset_ms": 0.4, "uncertainty_ms": 2.0, "registrations": 1}
    return Figures.of(Trial("merged", [*a_handoff(), *places], clocks=[clock]))


def test_a_true_report_has_no_fault():
    assert check.faults(the_figures(), the_truth()) == []


@pytest.mark.parametrize("gap", [0.057, 0.0695])
def test_a_gap_that_is_more_than_5_ms_off_is_one(gap):
    (fault,) = check.faults(the_figures(), the_truth(gap))

    assert fault.startswith("to fa1, pc1: 63 ms reported, ")


def test_a_recorder_that_says_it_looked_late_is_believed_that_much_and_no_more():
    figures = the_figures()
    figures.handoffs[0].sessions["pc1"].within = 20

    assert check.faults(figures, the_truth(0.080)) == []
    assert len(check.faults(figures, the_truth(0.090))) == 1


def test_a_wrong_cause_place_clock_or_number_of_handoffs_is_one():
    assert check.faults(the_figures(), the_truth(cause="registration lost")) == [
        "to fa1: the cause is registration lost, the report says link: 40 ms"
    ]
    wrong = the_figures()
    wrong.trial.events[-1]["latitude"] += 1e-5
    wrong.trial.clocks[0]["offset_ms"] = 9.0
    assert len(check.faults(wrong, the_truth())) == 2
    more = the_truth()
    more.roams.append(dataclasses.replace(more.roams[0], down=DOWN + 0.9))
    assert "1 handoffs reported, 2 took place" in check.faults(the_figures(), more)
