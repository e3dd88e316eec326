"""The rows of the benchmark suites: suites/<source>/, each beside its licence.

source.yaml      title, licence, repository, commit, what was changed, number of rows and their SHA-256
rows.jsonl.gz    {text, labels, split, part?, shots?, slots?: [[name, start, end], ...]}
LICENSE
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from slmfleet.models.benchmarks.task import SuiteRow
from slmfleet.models.errors import DataFault
from slmfleet.models.training.data import Span

SUITES_DIR: Final = Path(__file__).parent / "suites"


class SourceNote(BaseModel):
    """Where the rows of a folder come from and on what terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    licence: str
    repository: str
    commit: str
    share_alike: bool = False
    changes: str
    rows: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row with its place in the source: split, part (retailer or domain) and few-shot samples it is in."""

    row: SuiteRow
    split: str
    part: str
    shots: frozenset[int]


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file:line, object) of every line of a gzip'd JSON-lines file. Raises DataFault."""
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataFault(f"{path}: cannot be unpacked: {error}") from None
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataFault(f"{path}:{number}: is not JSON: {error.msg}") from None
        if not isinstance(found, dict):
            raise DataFault(f"{path}:{number}: should be an object")
        yield f"{path}:{number}", found


def read_note(folder: Path) -> SourceNote:
    """What `source.yaml` of a folder says. Raises DataFault."""
    path = folder / "source.yaml"
    try:
        return SourceNote.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataFault(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise DataFault(f"{path}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from None


def read_rows(folder: Path) -> list[SourceRow]:
    """Every row of a source, in order. Raises DataFault for rows that are not those of the note."""
    note = read_note(folder)
    path = folder / "rows.jsonl.gz"
    rows = [_row(where, found) for where, found in json_lines(path)]
    if (
        len(rows) != note.rows
        or hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() != note.sha256
    ):
        raise DataFault(f"{path}: these are not the {note.rows} rows that source.yaml describes")
    return rows


def _row(where: str, found: dict[str, Any]) -> SourceRow:
    try:
        text, labels, split = found["text"], tuple(found["labels"]), found["split"]
        marked = [Span(*slot) for slot in found["slots"]] if "slots" in found else None
    except (KeyError, TypeError) as error:
        raise DataFault(f"{where}: needs text, labels and split, and slots of three: {error}") from None
    if not isinstance(text, str) or not text.strip():
        raise DataFault(f"{where}: needs a non-empty 'text'")
    for span in marked or ():
        if not 0 <= span.start < span.end <= len(text):
            raise DataFault(f"{where}: slot {span.name} lies outside the text")
    return SourceRow(
        SuiteRow(text, labels, None if marked is None else tuple(marked)),
        split,
        found.get("part", ""),
        frozenset(found.get("shots", ())),
    )
