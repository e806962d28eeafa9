"""rig.toml as tests/hil/README.md describes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hil.rig import Network, load

README = Path(__file__).parents[1] / "hil" / "README.md"


def test_the_example_of_the_description_is_read(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "rig.toml").write_text(example[1])
    (tmp_path / "lab-1.wpa").write_text("correct horse\n")

    rig = load(tmp_path / "rig.toml")

    assert rig.host is not None and rig.host.address == "192.168.1.10"
    assert rig.network == [Network("lab-1", "correct horse"), Network("lab-2", "")]
    assert rig.power is not None and rig.power.cut[0] == "uhubctl"


def test_a_key_that_it_does_not_have_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text('[host]\nadress = "192.168.1.10"\n')

    with pytest.raises(ValueError, match="unknown field `adress`"):
        load(tmp_path / "rig.toml")
