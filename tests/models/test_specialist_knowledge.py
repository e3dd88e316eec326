from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from slmfleet.models.errors import FleetFault
from slmfleet.models.fleet.loading import load_fleet, reread
from slmfleet.models.inference.specialist import Specialist
from slmfleet.services.settings import SHOP_DIR


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    shutil.copytree(SHOP_DIR, folder, ignore=shutil.ignore_patterns("sources", "*.jsonl", "neighbours.npz"))
    card = folder / "shipping" / "bundle" / "neighbours.npz"
    shutil.copy(SHOP_DIR / "shipping" / "bundle" / "neighbours.npz", card)
    return folder


def test_other_words_are_found_without_training(shop: Path) -> None:
    fleet = load_fleet(shop)
    before = fleet.domains["shipping"]
    specialist = Specialist.load(before)
    asked = "do you deliver by drone to a lighthouse?"
    was = specialist.read(asked).passages[0]
    target = next(one for one in before.passages if one.id != was.passage_id)
    path = before.knowledge_path
    path.write_text(path.read_text().replace(target.text, "We deliver by drone to any lighthouse."))
    # The file's own line breaks may differ from the passage's; then the words are put below its heading.
    if "lighthouse" not in path.read_text():
        head, heading, rest = path.read_text().partition(f"## {target.title}")
        path.write_text(f"{head}{heading}\nWe deliver by drone to any lighthouse. {rest.lstrip()}")
    after = reread(fleet, "shipping")
    assert after.knowledge_digest != before.knowledge_digest
    specialist.reindex(after)
    found = specialist.read(asked)
    scores = {match.passage_id: match.score for match in found.passages}
    assert found.passages[0].passage_id == target.id
    assert scores[target.id] > was.score


def test_other_intents_need_the_fleet_loaded_anew(shop: Path) -> None:
    fleet = load_fleet(shop)
    domain = fleet.domains["shipping"]
    fewer = dict(list(domain.config.intents.items())[1:])
    fleet.domains["shipping"] = replace(domain, config=domain.config.model_copy(update={"intents": fewer}))
    with pytest.raises(FleetFault, match="load the fleet anew"):
        reread(fleet, "shipping")
