from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.training.distill import distilled_base, is_distilled  # noqa: E402
from slmfleet.models.training.recipe import SPECIALIST_BASE, Recipe  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TINY = replace(SPECIALIST_BASE, layers=(0, 5), vocabulary=1_500, epochs=1)


def test_a_base_is_cached_under_its_recipe_and_texts(tmp_path: Path) -> None:
    texts = ["where is my parcel", "can i return these shoes", "i was charged twice"]
    steps: list[int] = []
    _, made = distilled_base(texts, tmp_path, lambda done, total: steps.append(done), TINY)
    assert steps == [1]
    _, cached = distilled_base(texts, tmp_path, lambda done, total: steps.append(done), TINY)
    assert steps == [1]
    assert made.keys() == cached.keys()
    assert all(torch.equal(made[name], cached[name]) for name in made)
    for field in fields(Recipe):
        value = getattr(TINY, field.name)
        other = replace(TINY, **{field.name: (0, 2, 5) if field.name == "layers" else value + 1})
        assert not is_distilled(texts, tmp_path, other), field.name
    assert not is_distilled(texts[:2], tmp_path, TINY)
