"""A domain's knowledge: the retailer's own policy text, cut into passages that can be quoted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slmfleet.models.errors import Fault, FleetFault

MAX_PASSAGE_CHARACTERS = 900
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Passage:
    """One quotable piece of policy. `id` is the slug of its heading; `line` is where it starts."""

    id: str
    title: str
    text: str
    line: int

    @property
    def digest(self) -> str:
        """16 hex digits over title and text: changes when either does."""
        return hashlib.sha256(f"{self.title}\n{self.text}".encode()).hexdigest()[:16]


def slug(heading: str) -> str:
    """The passage id of a heading: `How long do refunds take?` -> `how-long-do-refunds-take`."""
    return re.sub(r"[^a-z0-9]+", "-", heading.casefold()).strip("-")


def read_passages(path: Path) -> tuple[Passage, ...]:
    """Passages of a Markdown file: each `##` heading starts one; text above the first is not knowledge.

    Raises FleetFault with every empty, over-long or repeated passage, and for a file that is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FleetFault([Fault(path, 1, f"is not UTF-8 at byte {error.start}")]) from None
    passages: dict[str, Passage] = {}
    faults: list[Fault] = []
    for passage in _sections(text):
        message = _wrong_with(passage, passages)
        if message is None:
            passages[passage.id] = passage
        else:
            faults.append(Fault(path, passage.line, message))
    if faults:
        raise FleetFault(faults)
    return tuple(passages.values())


def _sections(text: str) -> Iterator[Passage]:
    """The text below each `##` heading up to the next heading of any level, as one line."""
    title, start = "", 0
    body: list[str] = []
    for number, line in enumerate([*text.splitlines(), "# end"], start=1):
        heading = _HEADING.match(line)
        if heading is None:
            body.append(line)
            continue
        if title:
            yield Passage(slug(title), title, re.sub(r"\s+", " ", " ".join(body)).strip(), start)
        title = heading[2] if len(heading[1]) == 2 else ""
        start, body = number, []


def _wrong_with(passage: Passage, before: Mapping[str, Passage]) -> str | None:
    """Why `passage` cannot be used beside those `before` it; None where it can."""
    if not passage.text:
        return f"passage '{passage.title}' is empty: write its policy below the heading"
    if len(passage.text) > MAX_PASSAGE_CHARACTERS:
        return (
            f"passage '{passage.title}' has {len(passage.text)} characters; at most "
            f"{MAX_PASSAGE_CHARACTERS} can be quoted: split it"
        )
    if passage.id in before:
        return f"passage id '{passage.id}' is used twice: rename a heading"
    return None
