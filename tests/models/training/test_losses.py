from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.training.examples import UNKNOWN, Example  # noqa: E402
from slmfleet.models.training.losses import contrast_loss, loss_of  # noqa: E402
from slmfleet.models.training.network import MultiHeadEncoder, build  # noqa: E402
from slmfleet.models.training.recipe import Recipe  # noqa: E402

pytestmark = pytest.mark.train
PLAIN = Recipe(layers=(0,), contrast=0.0)
IDS = [101, 1_000, 102]


@pytest.fixture(scope="module")
def network() -> MultiHeadEncoder:
    torch.manual_seed(1)
    return build(range(2_000), (0,), 3, 2, 64).eval()


def loss(network: MultiHeadEncoder, *batch: Example, recipe: Recipe = PLAIN) -> float:
    passages = [[101, 1_001, 102], [101, 1_002, 102]]
    return float(loss_of(network, batch, passages, recipe, random.Random(1)).detach())


def test_an_example_that_says_nothing_costs_nothing(network: MultiHeadEncoder) -> None:
    nothing = Example(IDS, UNKNOWN, [UNKNOWN] * 3, UNKNOWN)
    assert loss(network, nothing) == 0.0
    assert not loss_of(network, [nothing], [], PLAIN, random.Random(1)).requires_grad


def test_intent_tags_passage_and_labels_each_cost(network: MultiHeadEncoder) -> None:
    unmarked = [UNKNOWN] * 3
    assert loss(network, Example(IDS, 0, unmarked, UNKNOWN)) > 0
    assert loss(network, Example(IDS, UNKNOWN, [UNKNOWN, 1, UNKNOWN], UNKNOWN)) > 0
    assert loss(network, Example(IDS, UNKNOWN, unmarked, 0)) > 0
    assert loss(network, Example(IDS, UNKNOWN, unmarked, UNKNOWN, [0, 2])) > 0


def test_contrast_is_less_where_a_label_lies_together() -> None:
    near, far = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    labels = torch.tensor([0, 0, 1, 1])
    together, apart = torch.stack([near, near, far, far]), torch.stack([near, far, near, far])
    assert contrast_loss(together, labels) < contrast_loss(apart, labels)
    assert contrast_loss(together, torch.tensor([0, 1, 2, 3])) == 0  # no two rows of a label
