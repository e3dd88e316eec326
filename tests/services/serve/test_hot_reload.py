"""What is loaded is replaced whole when another revision is announced."""

from __future__ import annotations

from slmfleet.models.errors import BundleFault
from slmfleet.services.serve.hot_reload import Reloadable


class Loader:
    """Returns how often it was called, or raises."""

    def __init__(self) -> None:
        self.calls = 0
        self.broken = False

    def __call__(self) -> int:
        self.calls += 1
        if self.broken:
            raise BundleFault("the bundle is damaged")
        return self.calls


async def test_it_loads_once_and_anew_for_another_revision_only() -> None:
    loaded = Reloadable(Loader())
    for revision in ("0", "0", "1", "1"):
        await loaded.announce(revision)
    assert loaded.value == 2


async def test_what_cannot_be_loaded_leaves_the_one_before_it_and_a_notice() -> None:
    loader = Loader()
    loaded = Reloadable(loader)
    await loaded.announce("0")
    loader.broken = True
    await loaded.announce("1")
    assert (loaded.value, loaded.notice) == (1, "revision 1 cannot be loaded, the one before it stays")
    loader.broken = False
    await loaded.announce("2")
    assert (loaded.value, loaded.notice) == (3, None)
