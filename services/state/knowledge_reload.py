"""The knowledge that this process answers from, kept level with what the retailer has written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from slmfleet.models.errors import BundleFault, FleetFault
from slmfleet.models.fleet.config import Domain, Fleet
from slmfleet.models.fleet.loading import reread
from slmfleet.services.pipeline.dispatch import Indexed

log = logging.getLogger(__name__)

#: What tells that a file was written anew: its time, its size, its inode.
_Stamp = tuple[int, int, int]


class KnowledgeReloader:
    """Domains of `fleet`, replaced in it one by one when their knowledge.md changes.

    `index` is what searches their passages. Blocking work runs in threads.
    """

    def __init__(self, fleet: Fleet, index: Indexed) -> None:
        self._fleet = fleet
        self._index = index
        # Unknown at first: a file may have been written since the fleet was loaded.
        self._stamps: dict[str, _Stamp | None] = dict.fromkeys(fleet.domains)
        self._lock = asyncio.Lock()
        #: Domain -> the token of the generation that is indexed here. Empty until the server was heard.
        self.tokens: dict[str, str] = {}
        #: Domain -> why its knowledge as it is now cannot be served; the last good one is.
        self.faults: dict[str, str] = {}

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that are served."""
        return tuple(self._fleet.domains)

    def version(self, domain: str) -> str:
        """What an answer from this domain's knowledge depends on: generation and content."""
        return f"{self.tokens.get(domain, '')}:{self._fleet.domains[domain].knowledge_digest}"

    def is_current(self, tokens: Mapping[str, str]) -> bool:
        """Whether every domain is indexed as of `tokens`."""
        return all(self.tokens.get(domain) == tokens.get(domain, "") for domain in self._fleet.domains)

    async def catch_up(self, tokens: Mapping[str, str]) -> None:
        """Read anew each domain whose token is another one. It is served before this returns."""
        async with self._lock:
            for domain in self._fleet.domains:
                wanted = tokens.get(domain, "")
                if self.tokens.get(domain) != wanted:
                    await asyncio.to_thread(self._read, domain)
                    self.tokens[domain] = wanted

    async def look(self) -> None:
        """Read anew each domain whose file was written since: for when nobody can tell of changes."""
        if all(_stamp(domain) == self._stamps[name] for name, domain in self._fleet.domains.items()):
            return
        async with self._lock:
            for name, domain in self._fleet.domains.items():
                if _stamp(domain) != self._stamps[name]:
                    await asyncio.to_thread(self._read, name)

    def _read(self, name: str) -> None:
        domain = self._fleet.domains[name]
        # Before the file is read: what is written meanwhile is then found the next time.
        self._stamps[name] = _stamp(domain)
        try:
            fresh = reread(self._fleet, name)
        except (FleetFault, OSError) as error:
            log.error("the knowledge of %s cannot be served, that before it stays: %s", name, error)
            self.faults[name] = f"the knowledge of {name} cannot be served, that before it stays"
            return
        self.faults.pop(name, None)
        if fresh.knowledge_digest != domain.knowledge_digest:
            self._index.reindex(fresh)
            self._fleet.domains[name] = fresh


class KnowledgeFollower:
    """Keeps one domain's index level with what its askers quote from. Blocking, for one thread."""

    def __init__(self, fleet: Fleet, name: str, index: Indexed) -> None:
        self._fleet = fleet
        self._name = name
        self._index = index
        self._looked: tuple[str, _Stamp] | None = None

    def follow(self, digest: str) -> None:
        """Read the knowledge anew when the asker's is another one, once until either is yet another."""
        domain = self._fleet.domains[self._name]
        if digest in ("", domain.knowledge_digest):
            return
        looked = digest, _stamp(domain)
        if looked == self._looked:
            return
        self._looked = looked
        try:
            fresh = reread(self._fleet, self._name)
            self._index.reindex(fresh)
        except (FleetFault, BundleFault, OSError) as error:
            log.error("the knowledge of %s cannot be served, that before it stays: %s", self._name, error)
            return
        self._fleet.domains[self._name] = fresh


def _stamp(domain: Domain) -> _Stamp:
    try:
        told = domain.knowledge_path.stat()
    except OSError:
        return (0, 0, 0)
    return (told.st_mtime_ns, told.st_size, told.st_ino)
