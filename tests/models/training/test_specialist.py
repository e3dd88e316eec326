from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.errors import DataFault  # noqa: E402
from slmfleet.models.fleet.config import Fleet  # noqa: E402
from slmfleet.models.fleet.loading import load_fleet  # noqa: E402
from slmfleet.models.inference.specialist import Specialist, passage_text  # noqa: E402
from slmfleet.models.training.data import load_corpus  # noqa: E402
from slmfleet.models.training.distill import distilled_base  # noqa: E402
from slmfleet.models.training.recipe import SPECIALIST, SPECIALIST_BASE  # noqa: E402
from slmfleet.models.training.specialist import domain_texts, fleet_texts, train_specialist  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TINY = replace(SPECIALIST_BASE, layers=(0, 5), vocabulary=1_500, epochs=1)


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture
def fleet(make_fleet: Callable[..., Path]) -> Iterator[Fleet]:
    yield load_fleet(make_fleet())
    torch.use_deterministic_algorithms(False)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_specialist_is_trained_answers_and_comes_out_the_same_again(fleet: Fleet, tmp_path: Path) -> None:
    corpus = load_corpus(fleet)
    bundles = []
    for run in ("one", "two"):
        base = distilled_base(fleet_texts(fleet, corpus), tmp_path / run, silent, TINY)
        recipe = replace(SPECIALIST, layers=(0, 5), epochs=12)
        train_specialist(fleet.domains["returns"], corpus, silent, base, recipe)
        bundles.append(digests(fleet.folder / "returns" / "bundle"))
    assert bundles[0] == bundles[1]
    assert len(bundles[0]) == 7
    reading = Specialist.load(fleet.domains["returns"]).read("what's the return window for this?")
    assert (reading.intent, reading.passages[0].passage_id) == ("how_long", "the-window")


def test_an_intent_with_too_few_rows_is_told_before_training(fleet: Fleet, tmp_path: Path) -> None:
    path = fleet.folder / "returns" / "utterances.jsonl"
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(row for row in rows if "how_long" in row), encoding="utf-8")
    with pytest.raises(DataFault, match="'how_to' has 0 rows"):
        train_specialist(fleet.domains["returns"], load_corpus(fleet), silent, (None, {}))  # type: ignore[arg-type]


def test_the_base_of_one_domain_is_distilled_on_all_of_its_texts_and_some_of_others(fleet: Fleet) -> None:
    corpus = load_corpus(fleet)
    everything = fleet_texts(fleet, corpus)
    texts = domain_texts(fleet, corpus, "returns", others=5)
    own = [row.text for row in corpus.of("returns").train]
    passages = [passage_text(passage) for passage in fleet.domains["returns"].passages]
    assert texts[: len(own) + len(passages)] == [*own, *passages]
    assert len(texts) == len(own) + len(passages) + 5
    assert set(texts) < set(everything)
