"""A baseline behind an OpenAI-compatible URL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from slmfleet.models.errors import BaselineFault
from slmfleet.services.evaluation.compare.baseline import Message, Reply
from slmfleet.services.settings import is_loopback

T = TypeVar("T")
TIMEOUT_S = 120.0
#: Characters of a body that a message shows.
_SHOWN = 200


class UrlBaseline:
    """A model that another process serves; what it computes there cannot be measured from here."""

    in_process = False
    parameters: int | None = None

    def __init__(self, url: str, model: str | None, api_key: str | None) -> None:
        """`url` is the base (`.../v1`); without `model`, the first that it lists. Raises BaselineFault."""
        self._url = url.rstrip("/")
        self.leaves_machine = not is_loopback(urlsplit(url).hostname or "")
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_S)
        try:
            self.name = model or str(self._request("GET", "models", lambda body: body["data"][0]["id"]))
        except BaselineFault:
            self.close()
            raise

    def answer(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The likeliest continuation. Raises BaselineFault where the server does not give one."""
        return self._request(
            "POST",
            "chat/completions",
            _reply,
            {"model": self.name, "messages": list(messages), "temperature": 0, "max_tokens": max_tokens},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _request(self, method: str, path: str, read: Callable[[Any], T], body: object = None) -> T:
        where = f"{self._url}/{path}"
        try:
            response = self._client.request(method, where, json=body)
        except httpx.HTTPError as error:
            raise BaselineFault(f"{where}: {error or type(error).__name__}") from None
        if response.is_error:
            raise BaselineFault(f"{where}: HTTP {response.status_code}: {response.text[:_SHOWN].strip()}")
        try:
            return read(response.json())
        except (ValueError, LookupError, TypeError):
            raise BaselineFault(
                f"{where}: does not answer as OpenAI's interface does: {response.text[:_SHOWN].strip()}"
            ) from None


def _reply(body: Any) -> Reply:
    content = body["choices"][0]["message"]["content"] or ""
    usage = body.get("usage") or {}
    return Reply(str(content), usage.get("prompt_tokens"), usage.get("completion_tokens"))
