"""The table of routes."""

from __future__ import annotations

import pytest
from fakes.shop import Shop

from slmfleet.services.gateway.routes import ROUTES, Route


def test_no_two_routes_share_a_name_or_a_method_of_a_path() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.path, route.method) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_route_is_served(shop: Shop, route: Route) -> None:
    document = {"text": "where"} if route.name == "askOne" else {"queries": [{"text": "where"}]}
    response = await shop.client.request(route.method, route.path, json=document if route.body else None)
    assert response.status_code == 200
    if route.answer is not None:
        route.answer.model_validate_json(response.content)
