"""What clients notice when replicas, workers, heads and bundles go under load: `make test-nodes`."""

from __future__ import annotations

import os

import pytest
from deploy.conftest import rendered, serve_config, the
from deploy.service import AT_ONCE
from deploy.test_serve_config import on_nodes

pytestmark = [
    pytest.mark.connected,
    pytest.mark.timeout(1_500),
    pytest.mark.skipif(not os.environ.get("SLMFLEET_TEST_NODES"), reason="ten minutes long: make test-nodes"),
]
_KEEPING_STATE = (
    "--set=ray.gcsFaultTolerance.enabled=true",
    "--set=ray.gcsFaultTolerance.redisAddress=10.77.0.1:6379",
    "--set=ray.gcsFaultTolerance.existingSecret=state",
)
_OTHER_SETTINGS = (
    "--set=specialist.autoscaling.minReplicas=2",
    "--set=specialist.maxReplicasPerNode=1",
    "--set=gateway.maxReplicasPerNode=1",
    "--set=settings.session_ttl_s=900",
)
_NOTICED_BY_NOBODY = (
    "other code", "other settings", "another revision", "a worker drained",
    "a specialist replica of two killed",
)  # fmt: skip
_HEALED_BY_ONE_RETRY = ("a gateway replica killed", "a worker of two lost")
#: -> seconds for which somebody may be left without an answer.
_NOTICED_FOR_S = {
    # Workers that found the new head hear from its Serve that there are no replicas, a moment before it has
    # found those itself.
    "the head lost, its state kept": 5,
    # Who needs the only replica of a specialist, which was there, waits in vain, on a retry as well, until
    # Ray has noticed and Serve has started another.
    "a worker lost": 20,
    # Until the fleet has started anew.
    "the head lost": 180,
}


def test_clients_notice_what_the_charts_readme_says() -> None:
    group = the(rendered(), "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    (*_, stop) = group["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    result = on_nodes(
        "lose_nodes.py",
        1_490,
        pre_stop=stop,
        keeping_state=the(rendered(None, "helm4", *_KEEPING_STATE), "RayService")["spec"],
        redis_password="of-the-state",
        other_config=serve_config(rendered(None, "helm4", *_OTHER_SETTINGS)),
    )
    told, unanswered_s = result["told"], result["unanswered_s"]
    for what, seen in told.items():
        print(f"{what}: {seen}, for {unanswered_s[what]} s somebody was left without an answer")
    print(f"a worker lost: Ray noticed after {result['noticed_after_s']} s")
    assert set(told) == {*_NOTICED_BY_NOBODY, *_HEALED_BY_ONE_RETRY, *_NOTICED_FOR_S}
    for what, seen in told.items():
        assert seen[AT_ONCE] > 20, f"{what}: hardly anyone was answered"
    for what in _NOTICED_BY_NOBODY:
        assert set(told[what]) == {AT_ONCE}, what
    assert result["noticed_after_s"] <= 20
    for what, most in _NOTICED_FOR_S.items():
        assert unanswered_s[what] <= most, what
    for what in _HEALED_BY_ONE_RETRY:
        assert [it for it in told[what] if it != AT_ONCE and not it.endswith("then answered")] == [], what
