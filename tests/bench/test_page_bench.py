"""`entourage bench page`: real daemons, with somebody who looks and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_agents.cli.main import main
from tests.runtime.namespaces import why_not


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_a_quick_run_of_page_has_its_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["bench", "page", "--quick", "--json", str(tmp_path / "bench.json")])

    assert code == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "bench.json").read_text())["page"]
    assert found["page_over_none"] > 0
    assert found["page_octets_per_tick"] > 10_000
