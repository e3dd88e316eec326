"""What may be cached, how an entry is stored, and which questions share a key."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fakes.serving import write_word_shop
from fakes.sharing import sharer, sharing_settings

from slmfleet.models.fleet.config import load_fleet
from slmfleet.services.schemas import AnswerBody, EvidenceBody
from slmfleet.services.state.cache_entry import CacheEntry, is_shareable, models_key, text_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_word_shop(tmp_path / "fleet", cacheable="shared")
    return tmp_path


@pytest.fixture
async def answer(folder: Path) -> AnswerBody:
    async with sharer(sharing_settings(folder, None)) as one:
        return await one.ask("where is a parcel")


async def test_an_offer_is_for_anyone_and_a_question_for_ones_own_is_not(
    folder: Path, answer: AnswerBody
) -> None:
    fleet = load_fleet(folder / "fleet")

    def asking(*evidence: EvidenceBody) -> AnswerBody:
        part = answer.parts[0].model_copy(update={"status": "needs_input", "evidence": list(evidence)})
        return answer.model_copy(update={"status": "needs_input", "parts": [part]})

    title = EvidenceBody(kind="knowledge", ref="shipping/track", quote="track")
    order = EvidenceBody(kind="record", ref="recent_orders", quote="#W1")
    assert is_shareable(answer, fleet)
    assert is_shareable(asking(title), fleet)
    assert not is_shareable(asking(), fleet)
    assert not is_shareable(asking(title, order), fleet)


def test_the_key_tells_apart_all_that_an_answer_depends_on(folder: Path) -> None:
    fleet = load_fleet(folder / "fleet")
    models = {"router": "1", "shipping": "2"}
    keys = [
        models_key(fleet, models, "en-US"),
        models_key(fleet, models, "en-GB"),
        models_key(fleet, {**models, "shipping": "3"}, "en-US"),
    ]
    yaml = folder / "fleet" / "fleet.yaml"
    yaml.write_text(yaml.read_text().replace("Please call", "Do call"))
    keys.append(models_key(load_fleet(folder / "fleet"), models, "en-US"))
    assert len(set(keys)) == 4
    assert text_key("Where  IS it") == text_key("where is it") == text_key("where ｉｓ it")
    assert len({text_key(text) for text in ("2 days", "3 days", "2 day", "not 2 days", "2days")}) == 5


async def test_an_entry_survives_the_server_unchanged(answer: AnswerBody) -> None:
    entry = CacheEntry(answer, {"shipping": "1:2"}, None, time.time() + 12.5)
    assert CacheEntry.unpacked(entry.packed()) == entry
    assert 12 < entry.ttl_s <= 12.5
    assert entry.domains == ["shipping"]
    assert CacheEntry(answer, {}, None, 0.0).domains == ["-"]
