"""The entries of one process: bounded, expiring, dropped with their epoch."""

from __future__ import annotations

import time
from pathlib import Path

from fakes.serving import write_word_shop
from fakes.sharing import sharer, sharing_settings

from slmfleet.services.state.cache_entry import CacheEntry
from slmfleet.services.state.in_memory_answers import InMemoryAnswers


async def test_no_more_is_stored_than_the_limit_and_nothing_expired(tmp_path: Path) -> None:
    write_word_shop(tmp_path / "fleet", cacheable="shared")
    answers = InMemoryAnswers(2)
    async with sharer(sharing_settings(tmp_path, None)) as one:
        answer = await one.ask("where is a parcel")
    for key in "abc":
        answers.put(key, CacheEntry(answer, {}, None, time.time() + 100))
    answers.put("d", CacheEntry(answer, {}, None, time.time() - 1))
    assert answers.get("d") is None
    assert len(answers) == 2
    assert answers.get("c") is not None
    answers.set_epoch("new")
    assert len(answers) == 0
    answers.put("e", CacheEntry(answer, {}, None, time.time() + 100))
    answers.set_epoch("new")
    assert answers.get("e") is not None
