"""A fleet that is loaded: its health, its sessions, its reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.serving import WordParts
from fakes.shop import ASK, Shop

from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.state.shared_state import SharedState


async def domain_of(shop: Shop, text: str, headers: dict[str, str] | None = None, **more: Any) -> str:
    response = await shop.client.post(ASK, json={"text": text, **more}, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["route"]["domain"])


@pytest.mark.parametrize("name", ["router", "shipping", "returns"])
async def test_readiness_names_the_broken_model(shop: Shop, name: str) -> None:
    assert (await shop.client.get("/readyz")).json()["checks"] == {
        "router": "ok",
        "shipping": "ok",
        "returns": "ok",
    }
    (shop.folder / f"{name}.broken").touch()
    response = await shop.client.get("/readyz")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    checks = response.json()["checks"]
    assert "answers its probe wrongly" in checks.pop(name)
    assert set(checks.values()) == {"ok"}
    assert (await shop.client.get("/healthz")).status_code == 200


async def test_sessions_survive_a_reload_that_keeps_them(shop: Shop) -> None:

    kept = SharedState(shop.settings)
    shop.loaded = load_pipeline(shop.settings, WordParts(), shop.executor, shared=kept)
    await domain_of(shop, "where is my parcel", session_id="s")
    shop.loaded = load_pipeline(shop.settings, WordParts(), shop.executor, shared=kept)
    assert await domain_of(shop, "how long", session_id="s") == "shipping"
    shop.loaded = load_pipeline(shop.settings, WordParts(), shop.executor)
    assert await domain_of(shop, "how long", session_id="s") == "returns"


async def test_how_long_and_how_many_sessions_are_kept_is_set(tmp_path: Path) -> None:
    shop = Shop(tmp_path, sessions_max=1)
    for name in ("s", "t"):
        await domain_of(shop, "where is my parcel", session_id=name)
    assert await domain_of(shop, "how long", session_id="t") == "shipping"
    assert await domain_of(shop, "how long", session_id="s") == "returns"
    shop.executor.shutdown()


async def test_a_text_that_breaks_a_model_is_reported_and_leaves_the_fleet_ready(shop: Shop) -> None:
    assert (await shop.ask("explode where")).status_code == 503
    first, second = [await shop.client.get("/readyz") for _ in range(2)]
    assert first.content == second.content
    assert first.status_code == 200
    assert first.json()["checks"] == {
        "router": "ok",
        "shipping": "the shipping specialist could not read a question that it was asked",
        "returns": "ok",
    }
    assert await shop.loaded.probe() is None


@pytest.mark.parametrize("name", ["router", "returns"])
async def test_the_probe_names_the_models_of_this_process_that_fail(shop: Shop, name: str) -> None:
    assert await shop.loaded.probe() is None
    (shop.folder / f"{name}.broken").touch()
    assert await shop.loaded.probe() == f"the {name} model answers its probe wrongly"


async def test_far_specialists_are_not_probed_for_a_restart_of_this_process(shop: Shop) -> None:
    loaded = load_pipeline(shop.settings, WordParts(), shop.executor, remotes={})
    (shop.folder / "returns.broken").touch()
    assert await loaded.probe() is None
    assert (await loaded.describe()).domains == []


async def test_a_notice_is_shown_and_makes_nothing_unavailable(shop: Shop) -> None:
    health = await shop.loaded.with_notice("revision 2 cannot be loaded").health()
    assert (health.status, health.checks["reload"]) == ("ok", "revision 2 cannot be loaded")
    assert shop.loaded.with_notice(None) is shop.loaded
