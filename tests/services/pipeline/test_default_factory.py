"""The shipped models and services, made for the demonstration shop."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmfleet.models.errors import NotFound, Unauthenticated
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.settings import Settings


def test_a_token_is_for_a_customer_on_record_and_names_it(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    factory = DefaultFactory()
    token = factory.token_for(settings, "noah_brown_6181")
    assert factory.customer_of(settings)(token) == "noah_brown_6181"
    with pytest.raises(NotFound, match="no customer 'nobody_1'"):
        factory.token_for(settings, "nobody_1")
    with pytest.raises(Unauthenticated):
        factory.customer_of(settings)("forged")


def test_keys_are_checked_only_where_some_are_set(tmp_path: Path) -> None:
    factory = DefaultFactory()
    assert factory.check_key(Settings(state_dir=tmp_path)) is None
    check = factory.check_key(Settings(state_dir=tmp_path, api_keys="a, b"))  # type: ignore[arg-type]
    assert check is not None
    check("b")
    with pytest.raises(Unauthenticated):
        check("c")


def test_a_model_comes_with_the_facts_of_its_bundle(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    factory = DefaultFactory()
    fleet = factory.fleet(settings)
    specialist, facts = factory.specialist(settings, fleet, "returns")
    assert specialist.read("how do I return shoes").model.version == facts.version
    assert facts.parameters > 1_000_000
    assert facts.bytes > 1_000_000
