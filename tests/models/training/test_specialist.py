from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.errors import DataFault  # noqa: E402
from slmfleet.models.fleet.config import Fleet  # noqa: E402
from slmfleet.models.fleet.loading import load_fleet  # noqa: E402
from slmfleet.models.inference.encoder import Encoder  # noqa: E402
from slmfleet.models.inference.specialist import Specialist  # noqa: E402
from slmfleet.models.training.data import load_corpus  # noqa: E402
from slmfleet.models.training.distill import distilled_base, is_distilled  # noqa: E402
from slmfleet.models.training.export import export_fp32, export_int8  # noqa: E402
from slmfleet.models.training.network import build  # noqa: E402
from slmfleet.models.training.recipe import ROUTER, SPECIALIST, SPECIALIST_BASE, Recipe, epochs_for  # noqa: E402
from slmfleet.models.training.specialist import fleet_texts, train_specialist  # noqa: E402
from slmfleet.router.classifier import Router  # noqa: E402
from slmfleet.router.train import train_router  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TINY = replace(SPECIALIST_BASE, layers=(0, 5), vocabulary=1_500, epochs=1)


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture
def fleet(make_fleet: Callable[..., Path]) -> Iterator[Fleet]:
    yield load_fleet(make_fleet())
    torch.use_deterministic_algorithms(False)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_fleet_is_trained_answers_and_comes_out_the_same_again(fleet: Fleet, tmp_path: Path) -> None:
    corpus = load_corpus(fleet)
    models, routers = [], []
    for run in ("one", "two"):
        base = distilled_base(fleet_texts(fleet, corpus), tmp_path / run, silent, TINY)
        recipe = replace(SPECIALIST, layers=(0, 5), epochs=12)
        train_specialist(fleet.domains["returns"], corpus, silent, base, recipe)
        models.append(digest(fleet.folder / "returns" / "bundle" / "model.int8.onnx"))
        card = train_router(fleet, corpus, silent, base, replace(ROUTER, layers=(0, 5)))
        routers.append(digest(fleet.folder / "router" / "bundle" / "model.int8.onnx"))
    assert card.recipe["epochs"] == epochs_for(card.trained_from.held_out_rows) == 20
    assert models[0] == models[1]
    assert routers[0] == routers[1]
    reading = Specialist.load(fleet.domains["returns"]).read("what's the return window for this?")
    assert (reading.intent, reading.passages[0].passage_id) == ("how_long", "the-window")
    assert (
        Router.load(fleet.folder / "router" / "bundle").route("return window?").routes[0].domain == "returns"
    )


def test_an_intent_with_too_few_rows_is_told_before_training(fleet: Fleet, tmp_path: Path) -> None:
    path = fleet.folder / "returns" / "utterances.jsonl"
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(row for row in rows if "how_long" in row), encoding="utf-8")
    with pytest.raises(DataFault, match="'how_to' has 0 rows"):
        train_specialist(fleet.domains["returns"], load_corpus(fleet), silent, (None, {}))  # type: ignore[arg-type]


def test_a_base_is_kept_for_its_very_recipe_and_texts(tmp_path: Path) -> None:
    texts = ["where is my parcel", "can i return these shoes", "i was charged twice"]
    steps: list[int] = []
    _, made = distilled_base(texts, tmp_path, lambda done, total: steps.append(done), TINY)
    assert steps == [1]
    _, kept = distilled_base(texts, tmp_path, lambda done, total: steps.append(done), TINY)
    assert steps == [1]
    assert made.keys() == kept.keys()
    assert all(torch.equal(made[name], kept[name]) for name in made)
    for field in fields(Recipe):
        value = getattr(TINY, field.name)
        other = replace(TINY, **{field.name: (0, 2, 5) if field.name == "layers" else value + 1})
        assert not is_distilled(texts, tmp_path, other), field.name
    assert not is_distilled(texts[:2], tmp_path, TINY)


def test_int8_says_what_fp32_says(fleet: Fleet, tmp_path: Path) -> None:
    torch.manual_seed(3)
    corpus = load_corpus(fleet)
    tokenizer, weights = distilled_base(fleet_texts(fleet, corpus), tmp_path, silent, TINY)
    network = build(range(tokenizer.get_vocab_size()), TINY.layers, 4, 3, 64)
    network.bert.load_state_dict(weights)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    export_int8(network, tmp_path / "int8.onnx")
    export_fp32(network, tmp_path / "fp32.onnx")
    small, exact = (
        Encoder(tmp_path / f"{name}.onnx", tmp_path / "tokenizer.json") for name in ("int8", "fp32")
    )
    likeness = [
        float(small.encode(row.text).embedding @ exact.encode(row.text).embedding) for row in corpus.train
    ]
    assert np.mean(likeness) > 0.98
    assert (tmp_path / "int8.onnx").stat().st_size < 0.35 * (tmp_path / "fp32.onnx").stat().st_size
