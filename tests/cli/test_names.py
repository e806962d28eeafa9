"""Names on the command line: octets that are no text are a usage error, and no traceback once they are to be sent."""

from __future__ import annotations

import pytest

from host_agents.cli.main import main
from tests.cli.test_numbers import OPTIONS

NONE = "x=\udcff"  # as Python has an argument whose last octet is 255
# What the operating system alone reads, which knows files by octets
AS_IT_IS = ("decode what", "decode --key", "attach device", "lab exec argv", "--port")


@pytest.mark.parametrize(
    "words",
    [
        *("ha show bindings --nai", "fa watch --sub-nai", "ha debug", "ha release a@b", "ha capture a@b"),
        *("ha withdraw --device", "attach /dev/null --interface", "trial report a b --title", "lab roam fa1 --node"),
        *("trial report a b --network", "board provision", "board page a b --version", "nonsense", "ha show"),
    ],
)
def test_what_is_no_text_is_a_usage_error(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), NONE])

    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert "error: argument " in told.err.splitlines()[-1]


def test_only_what_the_operating_system_reads_is_taken_as_it_is() -> None:
    taken = [name for name, one in OPTIONS if one.type is str]

    assert [name for name in taken if not name.endswith(AS_IT_IS)] == []


@pytest.mark.parametrize("name", ["", "longer-than-fifteen"])
def test_an_interface_has_a_name_that_the_kernel_can_hold(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ha", "withdraw", "--device", name])

    assert ended.value.code == 2
    assert "error: argument --device: an interface name has 1..15 octets" in capsys.readouterr().err
