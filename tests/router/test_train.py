from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.fleet.config import Fleet  # noqa: E402
from slmfleet.models.fleet.loading import load_fleet  # noqa: E402
from slmfleet.models.training.data import load_corpus  # noqa: E402
from slmfleet.models.training.distill import distilled_base  # noqa: E402
from slmfleet.models.training.recipe import ROUTER, ROUTER_BASE, epochs_for  # noqa: E402
from slmfleet.models.training.specialist import fleet_texts  # noqa: E402
from slmfleet.router.classifier import Router  # noqa: E402
from slmfleet.router.train import train_router  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TINY = replace(ROUTER_BASE, layers=(0, 5), vocabulary=1_500, epochs=1)


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture
def fleet(make_fleet: Callable[..., Path]) -> Iterator[Fleet]:
    yield load_fleet(make_fleet())
    torch.use_deterministic_algorithms(False)


def test_a_router_is_trained_routes_and_comes_out_the_same_again(fleet: Fleet, tmp_path: Path) -> None:
    corpus = load_corpus(fleet)
    base = distilled_base(fleet_texts(fleet, corpus), tmp_path, silent, TINY)
    bundle = fleet.folder / "router" / "bundle"
    digests = []
    for _ in range(2):
        card = train_router(fleet, corpus, silent, base, replace(ROUTER, layers=(0, 5)))
        digests.append(
            {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in bundle.iterdir()}
        )
    assert digests[0] == digests[1]
    assert card.labels == ["returns", "parcels", "hand_off", "out_of_scope"]
    assert card.recipe["epochs"] == epochs_for(card.trained_from.held_out_rows) == 20
    assert Router.of(fleet).route("return window?").routes[0].domain == "returns"
