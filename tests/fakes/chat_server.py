"""An OpenAI-compatible server that quotes the first policy of the prompt, on a port of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class ChatServer:
    """What it was asked, and how it answers: `body` instead of a proper answer, when set."""

    url: str = ""
    key: str | None = None
    body: Any = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "quoter-1"}]})

    async def complete(self, request: Request) -> Response:
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "who are you?"}}, 401)
        self.asked.append(await request.json())
        if self.body is not None:
            return JSONResponse(self.body)
        said = self.asked[-1]["messages"][-1]["content"]
        quoted = said.split("\n\n")[1].partition(": ")[2]
        usage = {"prompt_tokens": 400, "completion_tokens": 50, "total_tokens": 450}
        choice = {"index": 0, "message": {"role": "assistant", "content": quoted}, "finish_reason": "stop"}
        return JSONResponse({"object": "chat.completion", "choices": [choice], "usage": usage})


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """A running server; it stops at the end of the block."""
    told = ChatServer()
    app = Starlette(
        routes=[
            Route("/v1/models", told.models),
            Route("/v1/chat/completions", told.complete, methods=["POST"]),
        ]
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        told.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield told
        finally:
            server.should_exit = True
            thread.join(10)
