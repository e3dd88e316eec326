from __future__ import annotations

import numpy as np
import pytest

from slmfleet.router.suite_many import fit_many_temperature


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_is_too_sharp_or_too_dull(sharpness: float) -> None:
    rng = np.random.default_rng(3)
    odds = rng.normal(scale=2, size=(3_000, 4))
    truth = rng.random(odds.shape) < 1 / (1 + np.exp(-odds))
    assert fit_many_temperature(sharpness * odds, truth) == pytest.approx(sharpness, rel=0.15)
