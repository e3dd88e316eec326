"""Errors as problem documents."""

from __future__ import annotations

import pytest
from fakes.shop import Shop, problem_of

from slmfleet.models.contracts import (
    Answer,
)
from slmfleet.models.errors import ModelBroken, Overloaded, SlmfleetError
from slmfleet.services.gateway.problems import INTERNAL, PROBLEMS, problem_kind, verdict_of_status


def test_every_error_has_a_row_or_is_internal() -> None:
    internal = {"FleetFault", "BundleFault", "BundleMissing", "DataFault", "BaselineFault", "SettingsFault"}
    internal |= {"EventFault"}
    kinds = {kind for base in SlmfleetError.__subclasses__() for kind in (base, *base.__subclasses__())}
    assert {kind.__name__ for kind in kinds - set(PROBLEMS)} == internal
    assert PROBLEMS[Overloaded].status == 429


@pytest.mark.parametrize("text", ["explode where", "derail"])
async def test_a_model_that_raises_is_503_without_its_insides(shop: Shop, text: str) -> None:
    response = await shop.ask(text)
    found = problem_of(response, 503, "model-broken")
    assert "secret" not in response.text
    assert "inside" not in found["detail"]
    assert int(response.headers["retry-after"]) >= 1


async def test_a_fault_of_ours_is_500_that_tells_nothing_and_is_logged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fall(_: object) -> Answer:
        raise KeyError("password of the database")

    monkeypatch.setattr(shop.loaded.pipeline, "get_or_compute", fall)
    response = await shop.ask("a", headers={"x-request-id": "trace-77"})
    problem_of(response, 500, "internal")
    assert "password" not in response.text
    assert "KeyError" not in response.text
    logged = next(record for record in caplog.records if "trace-77" in record.getMessage())
    assert logged.exc_info is not None


def test_a_subclass_without_a_row_has_its_bases_and_anything_else_is_internal() -> None:
    class Broken(ModelBroken):
        pass

    assert problem_kind(Broken) is PROBLEMS[ModelBroken]
    assert problem_kind(KeyError) is INTERNAL


def test_one_status_has_one_verdict() -> None:
    for kind in (*PROBLEMS.values(), INTERNAL):
        assert verdict_of_status(kind.status) == kind.verdict
    assert verdict_of_status(502) == "unavailable"
