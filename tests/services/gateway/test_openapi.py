"""The OpenAPI document and the gateway agree, whatever schemathesis makes of the document."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import schemathesis
from fakes.serving import WordParts
from fakes.shop import Shop
from hypothesis import HealthCheck, settings

#: All checks; 413 is how more queries than fit a batch are refused.
STRICT = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": [400, 401, 405, 413, 415, 422]}}}
)
KEY = {"X-API-Key": "key-of-the-shop"}


def _schema(with_keys: bool) -> Any:
    # schemathesis collects operations at import, before any fixture
    shop = Shop(Path(tempfile.mkdtemp(prefix="slmfleet-openapi-")), WordParts(with_keys), max_batch=5)
    return schemathesis.openapi.from_asgi("/openapi.json", shop.app, config=STRICT)


keyless = _schema(with_keys=False)
keyed = _schema(with_keys=True)
thoroughly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@keyless.parametrize()
@thoroughly
def test_every_answer_is_as_documented(case: schemathesis.Case) -> None:
    case.call_and_validate()


@keyed.parametrize()
@thoroughly
def test_every_answer_to_a_keyed_caller_is_as_documented(case: schemathesis.Case) -> None:
    case.call_and_validate(headers=KEY)


async def test_documented_are_the_routes_with_their_methods(shop: Shop) -> None:
    paths = (await shop.client.get("/openapi.json")).json()["paths"]
    assert len(paths) == 6
    for path, operations in paths.items():
        allowed = (await shop.client.request("TRACE", path)).headers["allow"].split(", ")
        assert {method.upper() for method in operations} == set(allowed) - {"HEAD"}


async def test_history_is_documented(shop: Shop) -> None:
    document = (await shop.client.get("/openapi.json")).json()
    history = document["components"]["schemas"]["QueryBody"]["properties"]["history"]
    assert (history["maxItems"], history["items"]["maxLength"]) == (10, 2_000)
