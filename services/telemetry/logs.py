"""One JSON object a line, with the request's id, and nothing in it that names a customer.

E-mail addresses, card numbers, order numbers and the like are masked in every message and traceback, whoever
logs it. What customers write is only logged under SLMFLEET_LOG_QUERIES, and masked then too.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

#: The request that is being answered in this context.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_EMAIL: Final = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+")
#: Digits in groups, as cards and telephones are written; 13 to 19 of them are a card's.
_GROUPED: Final = re.compile(r"(?<![\w])\+?\(?\d(?:[ .()/-]{0,2}\d){6,}(?!\d)")
#: A word with four digits or more in a row: an order, a customer, a postcode.
_NUMBER: Final = re.compile(r"(?<![\w-])#?[\w-]*\d{4,}[\w-]*")
#: What is made of digits and is nobody's: request ids and digests, places in a source file.
_OURS: Final = re.compile(r"(?<!\w)[0-9a-f]{32}(?!\w)|(?<!\w)[0-9a-f]{12}(?!\w)|\bline \d+, in\b")


def masked(text: str) -> str:
    """`text` with [email], [card] and [number] for what may name a customer or what is theirs."""
    kept: list[str] = []
    place = 0
    for found in _OURS.finditer(text):
        if any(character.isalpha() for character in found[0]):
            kept += [_masked(text[place : found.start()]), found[0]]
            place = found.end()
    return "".join([*kept, _masked(text[place:])])


def _masked(text: str) -> str:
    text = _EMAIL.sub("[email]", text)
    text = _GROUPED.sub(lambda found: "[card]" if _digits(found[0]) >= 13 else "[number]", text)
    return _NUMBER.sub("[number]", text)


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger`, `message`, and where there are any `request_id`, `error` and the `extra`."""

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
        for name, value in getattr(record, "told", {}).items():
            line[name] = masked(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def log_json(level: str, stream: Any = None) -> None:
    """Log what slmfleet has to say from `level` on as JSON to `stream` (standard error), once a process."""
    ours = logging.getLogger("slmfleet")
    ours.setLevel(level.upper())
    if not any(isinstance(handler.formatter, JsonFormatter) for handler in ours.handlers):
        # The process's own: Ray Serve puts a logger of its own in the place of `sys.stderr`.
        handler = logging.StreamHandler(stream or sys.__stderr__)
        handler.setFormatter(JsonFormatter())
        ours.addHandler(handler)
        ours.propagate = False
