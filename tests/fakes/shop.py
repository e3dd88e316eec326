"""A gateway over the word shop, and a client of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from fakes.serving import WordParts, write_word_shop

from slmfleet.services.gateway.app import Gateway
from slmfleet.services.pipeline.assembly import LoadedFleet, load_pipeline
from slmfleet.services.settings import Settings

JSON = {"content-type": "application/json"}
ASK = "/v1/queries"
BATCH = "/v1/queries:batch"


class Shop:
    """A gateway over the word shop, and a client of it."""

    def __init__(self, folder: Path, parts: WordParts | None = None, **settings: Any) -> None:
        parts = parts or WordParts()
        self.folder = folder
        self.settings = Settings(fleet_dir=write_word_shop(folder / "fleet"), state_dir=folder, **settings)
        self.executor = ThreadPoolExecutor(4)
        self.loaded: LoadedFleet = load_pipeline(self.settings, parts, self.executor)
        check = parts.check_key(self.settings)
        self.app = Gateway(self.settings, lambda: self.loaded, parts.customer_of(self.settings), check)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://shop")

    async def ask(self, text: object, **more: Any) -> httpx.Response:
        return await self.client.post(ASK, json={"text": text}, **more)


def problem_of(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem document, checked against what every problem has."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["type"] == f"urn:slmfleet:problem:{slug}"
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    assert found["request_id"] == response.headers["x-request-id"]
    return found
