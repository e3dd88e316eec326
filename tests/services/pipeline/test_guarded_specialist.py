"""A specialist behind its guard."""

from __future__ import annotations

from pathlib import Path

from fakes.serving import WordSpecialist

from slmfleet.models.contracts import Reading
from slmfleet.models.errors import ModelBroken
from slmfleet.services.pipeline.guarded_specialist import GuardedSpecialist, SpecialistRequest
from slmfleet.services.telemetry import logs


def test_of_several_requests_each_has_its_own_outcome(tmp_path: Path) -> None:
    specialist = GuardedSpecialist("shipping", WordSpecialist("shipping", tmp_path))
    requests = [SpecialistRequest("where"), SpecialistRequest("explode"), SpecialistRequest("fast", True)]
    first, second, third = specialist.read_all(requests)
    assert isinstance(first, Reading)
    assert first.explanation is None
    assert isinstance(second, ModelBroken)
    assert isinstance(third, Reading)
    assert third.explanation is not None
    assert third.explanation.label == third.intent == "speed"
    assert third.cpu_ms > third.explanation.cpu_ms


def test_what_is_logged_of_a_request_has_its_id(tmp_path: Path) -> None:
    seen: list[str | None] = []

    class Noting(WordSpecialist):
        def read(self, text: str) -> Reading:
            seen.append(logs.request_id.get())
            return super().read(text)

    specialist = GuardedSpecialist("shipping", Noting("shipping", tmp_path))
    specialist.read_all([SpecialistRequest("where", request_id="r-1"), SpecialistRequest("fast")])
    assert seen == ["r-1", None]
