"""A specialist of the shop: what it reads, and how it takes up changed knowledge."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from slmfleet.models.errors import ModelBroken
from slmfleet.models.fleet.config import Domain
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.fleet.loading import load_fleet, reread
from slmfleet.models.inference.specialist import Specialist, passage_text
from slmfleet.services.settings import SHOP_DIR

FLEET = load_fleet(SHOP_DIR)
RETURNS = Specialist.load(FLEET.domains["returns"])


@pytest.fixture
def copied(tmp_path: Path) -> Domain:
    """The returns domain with its bundle in a folder of its own."""
    shutil.copytree(SHOP_DIR / "returns", tmp_path / "returns")
    return replace(FLEET.domains["returns"], folder=tmp_path / "returns")


def test_a_question_has_intent_passage_and_confidence() -> None:
    reading = RETURNS.read("how long do I have to return shoes?")
    assert (reading.domain, reading.intent) == ("returns", "return_policy")
    assert reading.intent_is_sure
    assert reading.passage_is_evidence
    scores = [match.score for match in reading.passages]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert reading.model.version == RETURNS.card.version


def test_gibberish_is_sure_of_nothing() -> None:
    reading = RETURNS.read("qwx zzkp vbnm")
    assert not reading.intent_is_sure
    assert not reading.passage_is_evidence


def test_the_same_text_is_read_the_same() -> None:
    one, two = (replace(RETURNS.read("can i swap sizes"), cpu_ms=0.0) for _ in range(2))
    assert one == two


def test_title_and_text_of_a_passage_are_embedded() -> None:
    assert passage_text(Passage("a", "Title", "Text.", 1)) == "Title. Text."


def test_changed_knowledge_is_found_without_training(copied: Domain) -> None:
    new = Passage("selling-old-vinyl-records", "Selling old vinyl records", "We buy old vinyl records.", 1)
    changed = replace(copied, passages=(*copied.passages[1:], new))
    intents = dict(changed.config.intents)
    gone = copied.passages[0].id
    for name, intent in intents.items():
        others = tuple(passage for passage in intent.passages if passage != gone)
        intents[name] = intent.model_copy(update={"passages": others})
    changed = replace(changed, config=changed.config.model_copy(update={"intents": intents}))
    reading = Specialist.load(changed).read("do you buy old vinyl records?")
    assert reading.passages[0].passage_id == new.id
    assert gone not in {match.passage_id for match in reading.passages}


@pytest.mark.parametrize("text", ["x", "return " * 285, "ab" * 1_000, "🙂" * 500, "\n\t ?", "İ" * 50])
def test_any_text_is_read(text: str) -> None:
    specialist = Specialist.load(FLEET.domains["returns"])
    reading = specialist.read(text)
    assert 0 < reading.confidence <= 1
    assert all(0 <= slot.start < slot.end <= len(text) for slot in reading.slots)


def test_slots_are_resolved_on_the_shops_day() -> None:
    reading = Specialist.load(FLEET.domains["returns"]).read("bought it yesterday for $20, order W2611340")
    assert [(slot.name, slot.value) for slot in reading.slots] == [
        ("date", "2026-06-14"),
        ("amount", "20 USD"),
        ("order_id", "#W2611340"),
    ]


def test_a_model_that_fails_its_probe_is_broken(copied: Domain) -> None:
    specialist = Specialist.load(copied)
    probe = specialist.card.probe.model_copy(update={"label": "warranty"})
    specialist.card = specialist.card.model_copy(update={"probe": probe})
    with pytest.raises(ModelBroken, match="answers its probe with"):
        specialist.probe()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    shutil.copytree(SHOP_DIR, folder, ignore=shutil.ignore_patterns("sources", "*.jsonl", "neighbours.npz"))
    card = folder / "shipping" / "bundle" / "neighbours.npz"
    shutil.copy(SHOP_DIR / "shipping" / "bundle" / "neighbours.npz", card)
    return folder


def test_a_changed_passage_is_found_after_reindexing(shop: Path) -> None:
    fleet = load_fleet(shop)
    before = fleet.domains["shipping"]
    specialist = Specialist.load(before)
    question = "do you deliver by drone to a lighthouse?"
    former = specialist.read(question).passages[0]
    target = next(one for one in before.passages if one.id != former.passage_id)
    path = before.knowledge_path
    path.write_text(path.read_text().replace(target.text, "We deliver by drone to any lighthouse."))
    # The file's own line breaks may differ from the passage's; then the words are put below its heading.
    if "lighthouse" not in path.read_text():
        head, heading, rest = path.read_text().partition(f"## {target.title}")
        path.write_text(f"{head}{heading}\nWe deliver by drone to any lighthouse. {rest.lstrip()}")
    after = reread(fleet, "shipping")
    assert after.knowledge_digest != before.knowledge_digest
    specialist.reindex(after)
    found = specialist.read(question)
    scores = {match.passage_id: match.score for match in found.passages}
    assert found.passages[0].passage_id == target.id
    assert scores[target.id] > former.score
