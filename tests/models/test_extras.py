from __future__ import annotations

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from slmfleet.models.extras import MODULES, install_hint

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
#: Brought by another library of the extra.
BROUGHT = {"aio_pika": "faststream", "nats": "faststream", "scipy": "scikit-learn", "opentelemetry": ""}


@pytest.mark.parametrize("extra", MODULES)
def test_the_extra_brings_its_modules(extra: str) -> None:
    wanted = {canonicalize_name(Requirement(line).name) for line in EXTRAS[extra]}
    core = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    distributions = packages_distributions()
    for module in MODULES[extra]:
        names = {canonicalize_name(name) for name in distributions[module]}
        assert names & wanted or BROUGHT[module] in {*wanted, ""}, module
        assert not names & core, f"{module} is installed anyway"


def test_all_is_every_extra() -> None:
    (everything,) = EXTRAS["all"]
    assert Requirement(everything).extras == set(EXTRAS) - {"all", "dev"} == set(MODULES)


def test_the_preferred_extra_is_named_where_several_bring_the_module() -> None:
    error = ModuleNotFoundError(name="redis.asyncio")
    assert install_hint(error) == "redis is not installed: pip install 'slmfleet[serve]'"
    assert install_hint(error, "events") == "redis is not installed: pip install 'slmfleet[events]'"
    assert install_hint(error, "train") == "redis is not installed: pip install 'slmfleet[serve]'"
    assert install_hint(ModuleNotFoundError(name="slmfleet.nothing")) is None
