from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtime.namespaces import Network, why_not


@pytest.fixture
def network() -> Iterator[Network]:
    if reason := why_not():
        pytest.skip(reason)
    made = Network()
    yield made
    made.close()
