"""A bundle: one trained model as a folder that can be served, checked and traced back to its rows.

model.int8.onnx  tokenizer.json  head.npz  index.npz (specialists)
neighbours.npz (for explanations, may be absent)  bundle.json  CARD.md
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from slmfleet.models.errors import BundleFault, BundleMissing
from slmfleet.models.inference.mixture import Mixture

MODEL_FILE = "model.int8.onnx"
TOKENIZER_FILE = "tokenizer.json"
INDEX_FILE = "index.npz"
HEAD_FILE = "head.npz"
NEIGHBOURS_FILE = "neighbours.npz"


class Probe(BaseModel):
    """A text and the label that the model must give it: checked at load and by health checks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    label: str


class TrainedFrom(BaseModel):
    """Provenance of the training rows: counts and licences by source, and the digest of all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: dict[str, int]
    licences: dict[str, str]
    held_out_rows: int
    sha256: str


class Card(BaseModel):
    """bundle.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: 2: the graph takes one text, without an attention mask.
    format: Literal[2] = 2
    kind: Literal["specialist", "router"]
    name: str
    labels: list[str]
    slot_labels: list[str]
    mixture: Mixture
    threshold: float
    parameters: int
    metrics: dict[str, float]
    recipe: dict[str, float | int | str | list[int]]
    base: str
    trained_from: TrainedFrom
    probe: Probe
    passages: dict[str, str] = {}
    passage_weights: dict[str, float] = {}
    files: dict[str, str] = {}

    @property
    def version(self) -> str:
        """12 hex digits over the files' hashes."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()[:12]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_card(folder: Path, card: Card) -> Card:
    """Hash the folder's files into the card, and write bundle.json and CARD.md. Returns the sealed card."""
    parts = (MODEL_FILE, TOKENIZER_FILE, HEAD_FILE, INDEX_FILE, NEIGHBOURS_FILE)
    names = [name for name in parts if (folder / name).is_file()]
    sealed = card.model_copy(update={"files": {name: _sha256(folder / name) for name in names}})
    (folder / "bundle.json").write_text(sealed.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / "CARD.md").write_text(_page(sealed), encoding="utf-8")
    return sealed


def read_card(folder: Path, kind: Literal["specialist", "router"]) -> Card:
    """The card of a bundle, whose files are checked against its hashes.

    Raises BundleMissing without a bundle, BundleFault for one that is damaged or of another kind or format.
    """
    path = folder / "bundle.json"
    try:
        card = Card.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BundleMissing(f"{path}: there is no bundle; make one with `slmfleet train`") from None
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format",):
            raise BundleFault(
                f"{path}: is of format {first['input']}, which another slmfleet reads; make it anew "
                "with `slmfleet train`"
            ) from None
        raise BundleFault(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if card.kind != kind:
        raise BundleFault(f"{path}: is a {card.kind}, not a {kind}")
    for name, sha256 in card.files.items():
        if not (folder / name).is_file():
            raise BundleFault(f"{folder / name}: is missing")
        if _sha256(folder / name) != sha256:
            raise BundleFault(f"{folder / name}: is not the file that {path.name} was written for")
    return card


def size_bytes(folder: Path) -> int:
    """Bytes of all files of a bundle."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _table(head: tuple[str, str], rows: Mapping[str, object]) -> list[str]:
    return [
        f"| {head[0]} | {head[1]} |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
        "",
    ]


def _quoting(card: Card) -> list[str]:
    """The card's lines on licences, where the bundle quotes its training rows."""
    if NEIGHBOURS_FILE not in card.files:
        return []
    return [
        "",
        f"`{NEIGHBOURS_FILE}` does quote training rows, to explain decisions by them: each stays under the "
        "licence of its source in the table above, share-alike ones included.",
    ]


def _page(card: Card) -> str:
    """CARD.md: the card for people, in Markdown."""
    sources = {
        name: f"{count} ({card.trained_from.licences.get(name.split('/')[0], 'unknown')})"
        for name, count in card.trained_from.rows.items()
    }
    lines = [
        f"# {card.name} ({card.kind}), version {card.version}",
        "",
        f"{card.parameters:,} parameters, int8; base encoder {card.base}. Labels: {', '.join(card.labels)}.",
        "",
        "## Metrics (int8 graph, rows never trained on)",
        "",
        *_table(("metric", "value"), {name: f"{value:.4f}" for name, value in card.metrics.items()}),
        f"Temperature {card.mixture.temperature:.3f}, lexical weight {card.mixture.lexical_weight:g} and "
        f"threshold {card.threshold:.3f} were fitted on {card.trained_from.held_out_rows} held-out training "
        "rows.",
        "",
        "## Trained from",
        "",
        *_table(("source", "rows (licence)"), sources),
        f"SHA-256 of the rows: `{card.trained_from.sha256}`",
        "",
        "Rows under a share-alike licence stay in folders of their own with their licence; these weights are "
        "a result computed from them and contain none of their texts.",
        *_quoting(card),
        "",
        "## Recipe",
        "",
        *_table(("parameter", "value"), card.recipe),
    ]
    return "\n".join(lines)
