"""A domain's knowledge: the retailer's own policy text, cut into passages that can be quoted."""

from __future__ import annotations

import hashlib
import re
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

    Raises FleetFault with every empty, over-long or repeated passage.
    """
    passages: list[Passage] = []
    faults: list[Fault] = []
    title, line = "", 0
    body: list[str] = []

    def close() -> None:
        if not title:
            return
        text = re.sub(r"\s+", " ", " ".join(body)).strip()
        if not text:
            faults.append(
                Fault(path, line, f"passage '{title}' is empty: write its policy below the heading")
            )
        elif len(text) > MAX_PASSAGE_CHARACTERS:
            faults.append(
                Fault(
                    path,
                    line,
                    f"passage '{title}' has {len(text)} characters; at most "
                    f"{MAX_PASSAGE_CHARACTERS} can be quoted: split it",
                )
            )
        elif any(passage.id == slug(title) for passage in passages):
            faults.append(Fault(path, line, f"passage id '{slug(title)}' is used twice: rename a heading"))
        else:
            passages.append(Passage(slug(title), title, text, line))

    for number, row in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        heading = _HEADING.match(row)
        if heading is None:
            body.append(row)
            continue
        close()
        title = heading[2] if len(heading[1]) == 2 else ""
        line, body = number, []
    close()
    if faults:
        raise FleetFault(faults)
    return tuple(passages)
