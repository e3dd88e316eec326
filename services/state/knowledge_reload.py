"""Hot reload of knowledge.md: the passages that a process answers from follow the retailer's files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from slmfleet.models.errors import BundleFault, FleetFault
from slmfleet.models.fleet.config import Domain, Fleet
from slmfleet.models.fleet.loading import reread
from slmfleet.services.pipeline.dispatch import Indexed

log = logging.getLogger(__name__)

#: Changes when a file is written: modification time (ns), size (bytes), inode.
_Stamp = tuple[int, int, int]


class KnowledgeReloader:
    """Replaces the domains of `fleet` one by one when their knowledge.md changes, and indexes them.

    `index` searches their passages. Files are read in threads.
    """

    def __init__(self, fleet: Fleet, index: Indexed) -> None:
        self._fleet = fleet
        self._index = index
        # None at first: a file may have been written since the fleet was loaded.
        self._stamps: dict[str, _Stamp | None] = dict.fromkeys(fleet.domains)
        self._lock = asyncio.Lock()
        #: Domain -> the token of the generation indexed here. Empty until the server was asked.
        self.tokens: dict[str, str] = {}
        #: Domain -> why its present file cannot be served; the last good one still is.
        self.faults: dict[str, str] = {}

    @property
    def domains(self) -> tuple[str, ...]:
        """The names of the domains."""
        return tuple(self._fleet.domains)

    def version(self, domain: str) -> str:
        """TOKEN:DIGEST of the domain's knowledge: its generation and its content."""
        return f"{self.tokens.get(domain, '')}:{self._fleet.domains[domain].knowledge_digest}"

    def is_current(self, tokens: Mapping[str, str]) -> bool:
        """Whether every domain is indexed as of `tokens` (domain -> token)."""
        return all(self.tokens.get(domain) == tokens.get(domain, "") for domain in self._fleet.domains)

    async def catch_up(self, tokens: Mapping[str, str]) -> None:
        """Read each domain again whose token differs; it is served before this returns."""
        async with self._lock:
            for domain in self._fleet.domains:
                wanted = tokens.get(domain, "")
                if self.tokens.get(domain) != wanted:
                    await asyncio.to_thread(self._read, domain)
                    self.tokens[domain] = wanted

    async def check_files(self) -> None:
        """Read each domain again whose file was written since: for when the server cannot be asked."""
        if all(_stamp(domain) == self._stamps[name] for name, domain in self._fleet.domains.items()):
            return
        async with self._lock:
            for name, domain in self._fleet.domains.items():
                if _stamp(domain) != self._stamps[name]:
                    await asyncio.to_thread(self._read, name)

    def _read(self, name: str) -> None:
        domain = self._fleet.domains[name]
        # Before the file is read, so that a write in between is found the next time.
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
    """Reloads one domain in a specialist's process when its callers quote other knowledge.

    Blocking; for one thread.
    """

    def __init__(self, fleet: Fleet, name: str, index: Indexed) -> None:
        self._fleet = fleet
        self._name = name
        self._index = index
        self._tried: tuple[str, _Stamp] | None = None

    def follow(self, digest: str) -> None:
        """Read the file again unless the caller's `digest` is served; once for each digest and file."""
        domain = self._fleet.domains[self._name]
        if digest in ("", domain.knowledge_digest):
            return
        attempt = digest, _stamp(domain)
        if attempt == self._tried:
            return
        self._tried = attempt
        try:
            fresh = reread(self._fleet, self._name)
            self._index.reindex(fresh)
        except (FleetFault, BundleFault, OSError) as error:
            log.error("the knowledge of %s cannot be served, that before it stays: %s", self._name, error)
            return
        self._fleet.domains[self._name] = fresh


def _stamp(domain: Domain) -> _Stamp:
    try:
        status = domain.knowledge_path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
