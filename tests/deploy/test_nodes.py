"""What clients notice when replicas, workers and bundles go under load: `make test-nodes`, ten minutes."""

from __future__ import annotations

import os

import pytest
from deploy.conftest import rendered, the
from deploy.test_serve_config import on_nodes

pytestmark = [
    pytest.mark.connected,
    pytest.mark.timeout(1_500),
    pytest.mark.skipif(not os.environ.get("SLMFLEET_TEST_NODES"), reason="ten minutes long: make test-nodes"),
]


def test_what_goes_is_noticed_by_nobody_or_healed_by_one_retry() -> None:
    group = the(rendered(), "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    (*_, stop) = group["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    result = on_nodes("lose_nodes.py", 1_490, pre_stop=stop)
    told = result["told"]
    for what, seen in told.items():
        print(what, seen)
        assert seen["at once"] > 20, f"{what}: hardly anyone asked"
        unhealed = {
            outcome: n
            for outcome, n in seen.items()
            if outcome != "at once" and not outcome.endswith("then 200")
        }
        assert unhealed == {}, what
    for planned in ("another revision", "a worker drained"):
        assert set(told[planned]) == {"at once"}, planned
