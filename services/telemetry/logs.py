"""Logs as one JSON object a line, with the request's id and nothing that identifies a customer.

E-mail addresses, card numbers, order numbers and the like are masked in every message and traceback, whatever
logs them. Customers' words are logged only under SLMFLEET_LOG_QUERIES, and are masked as well.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

#: The id of the request that is being answered in this context.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_EMAIL: Final = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+")
#: Digits in groups, as cards and telephones are written; 13 to 19 of them are a card's.
_GROUPED: Final = re.compile(r"(?<![\w])\+?\(?\d(?:[ .()/-]{0,2}\d){6,}(?!\d)")
#: A word with four digits or more in a row: an order, a customer, a postcode.
_NUMBER: Final = re.compile(r"(?<![\w-])#?[\w-]*\d{4,}[\w-]*")
#: Digits that identify no customer: request ids, digests, line numbers of a source file.
_IMPERSONAL: Final = re.compile(r"(?<!\w)[0-9a-f]{32}(?!\w)|(?<!\w)[0-9a-f]{12}(?!\w)|\bline \d+, in\b")


def masked(text: str) -> str:
    """`text` with [email], [card] and [number] in place of what may identify a customer or an order."""
    parts: list[str] = []
    end = 0
    for found in _IMPERSONAL.finditer(text):
        if any(character.isalpha() for character in found[0]):
            parts += [_masked(text[end : found.start()]), found[0]]
            end = found.end()
    return "".join([*parts, _masked(text[end:])])


def _masked(text: str) -> str:
    text = _EMAIL.sub("[email]", text)
    text = _GROUPED.sub(lambda found: "[card]" if _digits(found[0]) >= 13 else "[number]", text)
    return _NUMBER.sub("[number]", text)


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger`, `message`; where present `request_id`, `error` and the extra `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        identity = getattr(record, "request_id", None) or request_id.get()
        if identity is not None:
            line["request_id"] = identity
        for name, value in getattr(record, "fields", {}).items():
            line[name] = masked(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def log_json(level: str, stream: Any = None) -> None:
    """Log slmfleet's records from `level` on as JSON to `stream` (standard error); once a process."""
    logger = logging.getLogger("slmfleet")
    logger.setLevel(level.upper())
    if not any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers):
        # The process's own stderr: Ray Serve replaces `sys.stderr` by a logger.
        handler = logging.StreamHandler(stream or sys.__stderr__)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.propagate = False
