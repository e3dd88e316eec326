"""Training and test rows of a fleet: the retailer's own utterances and the sources it brings in.

    <fleet>/<domain>/utterances.jsonl  test.jsonl        {text, intent, passage?, slots?, source}
    <fleet>/router/utterances.jsonl    test.jsonl        intent is hand_off or out_of_scope
    <fleet>/sources/<name>/source.yaml rows.jsonl        {text, label, split, slots?} and what labels mean

No text of a test row, nor a near-duplicate of one, is ever returned for training.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.text.gazetteer import Gazetteers, find_phrases
from slmfleet.models.text.normalise import fingerprint

#: In each domain's folder, and in the router's.
TRAIN_FILE = "utterances.jsonl"
TEST_FILE = "test.jsonl"


@dataclass(frozen=True, slots=True)
class Span:
    """A slot in a row: `text[start:end]`."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance. `domain` may be HAND_OFF or OUT_OF_SCOPE; `intent` and `passage` may be unknown.

    `spans` is None where slots were not annotated, and empty where the row was found to have none.
    """

    text: str
    domain: str
    intent: str | None
    passage: str | None
    spans: tuple[Span, ...] | None
    source: str
    #: Generated from a template: good to learn from, too easy to calibrate on.
    template: bool = False


@dataclass(frozen=True)
class Corpus:
    """All rows of a fleet, and the licences of what they came from (source -> licence)."""

    train: tuple[Row, ...]
    test: tuple[Row, ...]
    licences: dict[str, str]

    def of(self, domain: str) -> Corpus:
        """Only the rows of one domain."""
        return Corpus(
            tuple(row for row in self.train if row.domain == domain),
            tuple(row for row in self.test if row.domain == domain),
            self.licences,
        )


class _SourceConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    licence: str
    repository: str
    commit: str
    share_alike: bool = False
    templates: bool = False
    train_rows_per_label: int = Field(default=200, ge=1)
    out_of_scope_rows_per_label: int | None = Field(default=None, ge=1)
    slots: dict[str, str] = {}
    labels: dict[str, str | None]


def digest(rows: Iterable[Row]) -> str:
    """SHA-256 over the rows, in order: identifies what a bundle was trained from."""
    total = hashlib.sha256()
    for row in rows:
        total.update(repr(row).encode())
    return total.hexdigest()


def load_corpus(fleet: Fleet) -> Corpus:
    """Every row of the fleet. Raises DataFault with file and line for a row that cannot be used."""
    train: list[Row] = []
    test: list[Row] = []
    licences = {"own": "Apache-2.0"}
    folders = [(name, fleet.folder / name) for name in fleet.domains]
    for domain, folder in [*folders, (None, fleet.folder / "router")]:
        for name, rows in ((TRAIN_FILE, train), (TEST_FILE, test)):
            if (folder / name).is_file():
                rows.extend(_own_rows(fleet, folder / name, domain))
    for path in sorted(fleet.folder.glob("sources/*/source.yaml")):
        source = _read_source(path)
        licences[path.parent.name] = source.licence
        source_train, source_test = _source_rows(fleet, path.parent, source)
        train += source_train
        test += source_test
    tested = {fingerprint(row.text) for row in test}
    unique: dict[tuple[str, str], Row] = {}
    for row in train:
        key = fingerprint(row.text)
        if key not in tested and (key or row.domain == OUT_OF_SCOPE):
            unique.setdefault((key, row.text if not key else ""), row)
    return Corpus(tuple(unique.values()), tuple(test), licences)


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of every line that is not blank. Raises DataFault for one without a text."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataFault(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise DataFault(f"{path}: is not UTF-8 at byte {error.start}") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataFault(f"{path}:{number}: is not JSON: {error.msg}") from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not row["text"].strip():
            raise DataFault(f"{path}:{number}: needs a non-empty 'text'")
        yield number, row


def _spans(row: dict[str, Any], names: dict[str, str] | None, where: str) -> tuple[Span, ...] | None:
    """The row's slots, None without any; `names` translates those of a source and leaves out the others."""
    if "slots" not in row:
        return None
    try:
        slots = [Span(slot["name"], slot["start"], slot["end"]) for slot in row["slots"]]
        outside = [slot for slot in slots if not 0 <= slot.start < slot.end <= len(row["text"])]
    except (KeyError, TypeError):
        raise DataFault(f"{where}: slots should be a list of {{name, start, end}}") from None
    if outside:
        raise DataFault(f"{where}: slot {outside[0].name} lies outside the text")
    if names is None:
        return tuple(slots)
    return tuple(replace(slot, name=names[slot.name]) for slot in slots if slot.name in names)


def _own_rows(fleet: Fleet, path: Path, domain: str | None) -> Iterator[Row]:
    for number, row in _json_lines(path):
        where = f"{path}:{number}"
        intent, passage = row.get("intent"), row.get("passage")
        if domain is None:
            if intent not in (HAND_OFF, OUT_OF_SCOPE):
                raise DataFault(f"{where}: intent should be {HAND_OFF} or {OUT_OF_SCOPE}, not {intent!r}")
            yield Row(row["text"], intent, None, None, None, "own")
            continue
        known = fleet.domains[domain]
        if intent not in known.config.intents:
            raise DataFault(f"{where}: {domain} has no intent {intent!r}")
        if passage is not None and passage not in known.passage_by_id:
            raise DataFault(f"{where}: {domain} has no passage {passage!r}")
        yield Row(row["text"], domain, intent, passage, _spans(row, None, where), "own")


def _read_source(path: Path) -> _SourceConfig:
    try:
        return _SourceConfig.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DataFault(f"{path}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from None


def _source_rows(fleet: Fleet, folder: Path, source: _SourceConfig) -> tuple[list[Row], list[Row]]:
    by_label: dict[str, list[Row]] = defaultdict(list)
    test: list[Row] = []
    for number, row in _json_lines(folder / "rows.jsonl"):
        where = f"{folder / 'rows.jsonl'}:{number}"
        label, split = row.get("label"), row.get("split")
        if label not in source.labels and "*" not in source.labels:
            raise DataFault(f"{where}: label {label!r} is not in source.yaml")
        target = source.labels[label] if label in source.labels else source.labels["*"]
        domain, _, intent = (target or "").partition(".")
        if domain not in fleet.domains and domain not in (HAND_OFF, OUT_OF_SCOPE):
            continue
        if intent and intent not in fleet.domains[domain].config.intents:
            raise DataFault(f"{folder / 'source.yaml'}: labels.{label}: {domain} has no intent '{intent}'")
        parsed = Row(
            row["text"],
            domain,
            intent or None,
            None,
            _spans(row, source.slots, where),
            "/".join([folder.name, *str(label).split(".")[:-1]]),
            source.templates,
        )
        if split == "test":
            test.append(parsed)
        elif split == "train":
            by_label[str(label)].append(parsed)
        else:
            raise DataFault(f"{where}: split should be train or test, not {split!r}")
    return [row for label in sorted(by_label) for row in _sample(label, by_label[label], source)], test


def _sample(label: str, rows: list[Row], source: _SourceConfig) -> list[Row]:
    """At most as many training rows of one label as the source is configured to take, with slots first."""
    limit = source.train_rows_per_label
    if rows[0].domain == OUT_OF_SCOPE and source.out_of_scope_rows_per_label and label != "oos":
        limit = source.out_of_scope_rows_per_label
    random.Random(label).shuffle(rows)  # noqa: S311 - a seeded sample, not a secret
    return sorted(rows, key=lambda row: not row.spans)[:limit]


def hold_out(rows: Iterable[Row], share: float) -> tuple[list[Row], list[Row]]:
    """Split rows into (to train on, held out) by a hash of their fingerprint.

    Stable from run to run; near-duplicates stay together.
    """
    train: list[Row] = []
    held_out: list[Row] = []
    for row in rows:
        score = int.from_bytes(hashlib.sha256(fingerprint(row.text).encode()).digest()[:8], "big") / 2**64
        (held_out if score < share else train).append(row)
    return train, held_out


def with_phrases(row: Row, gazetteers: Gazetteers) -> Row:
    """The row with spans of the retailer's phrases added where they overlap no other span."""
    spans = list(row.spans or ())
    for name, phrases in gazetteers.items():
        for start, end, _ in find_phrases(row.text, phrases):
            if all(end <= span.start or start >= span.end for span in spans):
                spans.append(Span(name, start, end))
    if not spans:
        return row
    return replace(row, spans=tuple(sorted(spans, key=lambda span: span.start)))
