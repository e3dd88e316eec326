from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from fakes.serving import write_word_shop
from fakes.sharing import sharer, sharing_settings
from typer.testing import CliRunner

from slmfleet.models.errors import NotFound
from slmfleet.services.cli.main import app
from slmfleet.services.state.cache_admin import evict, render, show

ASKED = "where is a parcel"
OTHER = "how do I return it"
NO = "lorem ipsum"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_word_shop(tmp_path / "fleet", cacheable="shared")
    return tmp_path


async def test_it_shows_entries_and_hits_by_domain(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one:
        for text in (ASKED, ASKED, ASKED, OTHER, NO):
            await one.ask(text)
        await one.shared.heartbeat()
        contents = await asyncio.to_thread(show, settings)
    assert contents.entries == 3
    assert contents.by_domain == {"shipping": 1, "returns": 1, "-": 1}
    assert contents.hits == {"shipping": 2}
    assert contents.replicas == 1
    assert contents.memory_max_bytes > contents.memory_bytes > contents.entry_bytes > 0
    assert all(len(line) <= 80 for line in render(contents).splitlines())


@pytest.mark.parametrize(
    ("given", "gone", "missed"),
    [
        ({"domain": "shipping"}, 1, [ASKED]),
        ({"text": OTHER.upper()}, 1, [OTHER]),
        ({"domain": "shipping", "text": OTHER}, 0, []),
        ({}, 3, [ASKED, OTHER, NO]),
    ],
)
async def test_what_is_evicted_is_computed_again(
    folder: Path, valkey: str, given: dict[str, str], gone: int, missed: list[str]
) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one:
        for text in (ASKED, OTHER, NO):
            await one.ask(text)
        assert await asyncio.to_thread(evict, settings, **given) == gone
        await one.shared.heartbeat()
        assert len(one.shared.local_answers) == 0  # what it kept for itself
        verdicts = {text: (await one.ask(text)).cache for text in (ASKED, OTHER, NO)}
        assert [text for text, verdict in verdicts.items() if verdict == "miss"] == missed


def test_an_unknown_domain_is_named(folder: Path, valkey: str) -> None:
    with pytest.raises(NotFound, match="weather"):
        evict(sharing_settings(folder, valkey), domain="weather")


def test_the_command_line(folder: Path, valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMFLEET_REDIS_URL", valkey)
    fleet = ["--fleet", str(folder / "fleet")]
    told = CliRunner().invoke(app, ["cache", "show", "--json", *fleet])
    assert json.loads(told.stdout)["entries"] == 0
    assert "0 answers" in CliRunner().invoke(app, ["cache", "show", *fleet]).stdout
    assert CliRunner().invoke(app, ["cache", "evict", *fleet]).exit_code == 2
    assert "0 answers" in CliRunner().invoke(app, ["cache", "evict", "--all", *fleet]).stdout
    monkeypatch.setenv("SLMFLEET_REDIS_URL", "redis://127.0.0.1:1")
    assert CliRunner().invoke(app, ["cache", "show", *fleet]).exit_code == 2
    assert valkey not in told.stdout
