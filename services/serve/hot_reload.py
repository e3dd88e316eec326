"""Hot reload: the one reference to what is loaded, replaced whole when a new revision is announced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from slmfleet.models.errors import SlmfleetError

Loaded = TypeVar("Loaded")
log = logging.getLogger(__name__)


class Reloadable(Generic[Loaded]):
    """A value that is loaded again for another revision. A request reads `value` once and uses it to its end.

    `notice` is set while the last revision cannot be loaded and `value` is the one before it: raising instead
    would make Ray Serve replace a working replica by one that cannot start.
    """

    def __init__(self, load: Callable[[], Loaded]) -> None:
        """Calls `load` at once. Raises whatever it raises."""
        self._load = load
        self._revision: str | None = None
        self.value = load()
        self.notice: str | None = None

    async def announce(self, revision: str) -> None:
        """Load again if `revision` is another one. A SlmfleetError of `load` becomes the notice.

        The first announcement names what was just loaded. Ray Serve repeats the last one whenever a
        replica's rank changes, which is no reason to load again.
        """
        first, same = self._revision is None, self._revision == revision
        self._revision = revision
        if first or same:
            return
        try:
            self.value = await asyncio.to_thread(self._load)
        except SlmfleetError as error:
            log.error("revision %s cannot be loaded, the one before it stays: %s", revision, error)
            self.notice = f"revision {revision} cannot be loaded, the one before it stays"
        else:
            log.warning("revision %s is loaded", revision)
            self.notice = None
