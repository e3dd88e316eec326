"""A request's body, read within bounds."""

from __future__ import annotations

from starlette.types import Receive

from slmfleet.models.errors import TooLarge, UnsupportedMediaType


class ClientGone(Exception):
    """The client disconnected before its body was complete."""


def require_json(content_type: str | None) -> None:
    """Raises UnsupportedMediaType unless the content type is JSON in UTF-8."""
    kind, _, parameters = (content_type or "").partition(";")
    if kind.strip().lower() != "application/json":
        raise UnsupportedMediaType("send the body as application/json")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType("send the JSON in UTF-8")


async def read_body(receive: Receive, content_length: str | None, max_bytes: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be over `max_bytes`, and ClientGone."""
    refusal = TooLarge(f"the body may have at most {max_bytes:,} bytes")
    if content_length is not None and content_length.isdecimal() and int(content_length[:20]) > max_bytes:
        raise refusal
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise refusal
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
