"""Replicas of a small shop that share a real Valkey: word models, the shipped replier, knowledge in files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.serving import WordParts
from pydantic import SecretStr

from slmfleet.models.fleet.config import Fleet
from slmfleet.services.pipeline.assembly import LoadedFleet, load_pipeline
from slmfleet.services.pipeline.pipeline import Query, Replier
from slmfleet.services.records.store import open_records
from slmfleet.services.schemas import AnswerBody
from slmfleet.services.settings import Settings
from slmfleet.services.state.shared_state import SharedState


class QuotingParts(WordParts):
    """The word shop with answers quoted from its knowledge."""

    def replier(self, settings: Settings, fleet: Fleet) -> Replier:
        from slmfleet.services.pipeline.reply import Replier as Shipped

        return Shipped(fleet, open_records(settings.resolved_records_url(), None))


@dataclass
class Sharer:
    """One replica."""

    settings: Settings
    shared: SharedState
    loaded: LoadedFleet

    async def ask(self, text: str, **more: Any) -> AnswerBody:
        """The answer to a question, once what is to be kept of it is kept."""
        answer = await self.loaded.pipeline.answer(Query(text, **more))
        await self.shared.flush()
        return answer


def sharing_settings(folder: Path, url: str | None, **more: Any) -> Settings:
    """Settings of a replica over the shop in `folder`. Its server may take its time, as tests do."""
    return Settings(
        fleet_dir=folder / "fleet",
        state_dir=folder,
        redis_url=None if url is None else SecretStr(url),
        **{"redis_timeout_s": 2.0, **more},
    )


@asynccontextmanager
async def sharer(settings: Settings, parts: WordParts | None = None) -> AsyncIterator[Sharer]:
    """A replica that takes part until the end."""
    shared = SharedState(settings)
    with ThreadPoolExecutor(2) as executor:
        loaded = load_pipeline(settings, parts or QuotingParts(), executor, shared=shared)
        shared.start()
        if shared.redis is not None:
            await shared.heartbeat()
        made = Sharer(settings, shared, loaded)
        try:
            yield made
        finally:
            await shared.stop()


#: A replica in a process of its own: once there is a file `go`, it asks what stands on the command line and
#: prints the verdicts.
_PROGRAM = """
import asyncio, sys
from pathlib import Path
from fakes.sharing import QuotingParts, sharer, sharing_settings

async def main(folder, url, *texts):
    async with sharer(sharing_settings(Path(folder), url), QuotingParts(slow_s=0.5)) as replica:
        print("up", flush=True)
        while not Path(folder, "go").exists():
            await asyncio.sleep(0.005)
        for text in texts:
            print((await replica.ask(text)).cache, flush=True)
        await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


def replica_program(folder: Path, url: str, *texts: str) -> subprocess.Popen[str]:
    """A replica in a process of its own, which asks `texts` once there is a file `go`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _PROGRAM, str(folder), url, *texts]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def end(programs: list[subprocess.Popen[str]]) -> None:
    """End them as a crash would."""
    for program in programs:
        program.kill()
        program.communicate(timeout=20)
