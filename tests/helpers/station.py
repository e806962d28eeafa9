"""What stands on a world's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mip4 import effects as node_effects

if TYPE_CHECKING:
    from tests.helpers.world import World

LINK_DELAY = 1  # ms
INTERNET_DELAY = 10


class Station:
    """What stands on the world's clock. name: as in World.lose_next."""

    name = ""

    def __init__(self, world: World) -> None:
        self.world = world

    def deadline(self) -> int | None:
        raise NotImplementedError

    def wake(self) -> None:
        raise NotImplementedError

    def note(self, effect: Any) -> None:
        """Effects that are the same everywhere."""
        if isinstance(effect, node_effects.Dropped):
            self.world.dropped.append((self.name, effect.error))
        else:
            self.world.said.append((effect.level, effect.text))


def link_address_of(address: int) -> bytes:
    return b"\x02\x00" + address.to_bytes(4, "big")
