"""The one recipe: rows with labels in, a trained and exported classifier out. Training time only.

Routers, specialists and every benchmark are trained by this code and no other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from slmfleet.models.inference.bundle import HEAD_FILE, MODEL_FILE, TOKENIZER_FILE
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.encoder import MAX_TOKENS, Encoder, read_tokens
from slmfleet.models.inference.mixture import Mixture, Signals
from slmfleet.models.inference.tagging import Tagging, words
from slmfleet.models.progress import Progress
from slmfleet.models.text.spelling import Spelling
from slmfleet.models.training.data import Row
from slmfleet.models.training.examples import example_maker, slot_labels, tags
from slmfleet.models.training.export import export_bundle, export_fp32
from slmfleet.models.training.lexical_fit import fit_lexical, fit_lexical_many
from slmfleet.models.training.loop import Recipe, fit, seed_everything
from slmfleet.models.training.mixture_fit import NOWHERE
from slmfleet.models.training.network import MultiHeadEncoder, build, parameters
from slmfleet.models.training.tagging_fit import fit_tagging

#: Tokenizer and weights of the encoder that training starts from (distill.distilled_base).
Base = tuple[Tokenizer, dict[str, Tensor]]


@dataclass(frozen=True)
class TrainingTask:
    """What is learned: rows, the labels in order, which label a row has, and the passages that may answer.

    Where a row may have any number of labels, `labels_of` says which.
    """

    rows: Sequence[Row]
    labels: Sequence[str]
    label_of: Callable[[Row], str | None]
    passages: Sequence[str] = ()
    passage_places: Mapping[str, int] = field(default_factory=dict)
    labels_of: Callable[[Row], Sequence[str]] | None = None

    def without(self, rows: Sequence[Row]) -> TrainingTask:
        """The same lesson without some rows."""
        left_out = {id(row) for row in rows}
        kept = [row for row in self.rows if id(row) not in left_out]
        return replace(self, rows=kept)


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier as it will be served, not yet calibrated; the network is there for comparisons."""

    classifier: Classifier
    network: MultiHeadEncoder
    slot_labels: list[str]

    @property
    def parameters(self) -> int:
        """How many numbers were learned by the encoder and its heads."""
        return parameters(self.network)

    def exact(self, folder: Path, mixture: Mixture) -> Classifier:
        """The classifier with the network's own weights for the rounded ones; `folder` has its tokenizer."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / MODEL_FILE
            export_fp32(self.network, path)
            encoder = Encoder(path, folder / TOKENIZER_FILE)
        mine = self.classifier
        return Classifier(encoder, mine.spelling, mine.lexical, mixture, mine.tagging)


def train_classifier(
    lesson: TrainingTask, recipe: Recipe, base: Base, folder: Path, progress: Progress
) -> TrainedClassifier:
    """Train on every row of `lesson` and write graph, tokenizer and head into `folder`."""
    seed_everything(recipe.seed)
    tokenizer, weights = base
    marks = slot_labels(lesson.rows, splits=recipe.join_share > 0)
    network = build(
        range(tokenizer.get_vocab_size()), recipe.layers, len(lesson.labels), len(marks), MAX_TOKENS
    )
    network.bert.load_state_dict(weights)
    place = {label: index for index, label in enumerate(lesson.labels)}
    epochs = example_maker(
        lesson.rows, tokenizer, place, marks, lesson.passage_places, lesson.label_of, recipe, lesson.labels_of
    )
    fit(network, epochs, [read_tokens(tokenizer, text)[0] for text in lesson.passages], recipe, progress)
    encoder = export_bundle(network, tokenizer, folder)
    texts = [row.text for row in lesson.rows]
    if lesson.labels_of:
        many = [[place[label] for label in lesson.labels_of(row) if label in place] for row in lesson.rows]
        lexical = fit_lexical_many(texts, many, len(lesson.labels))
    else:
        taught = [(row.text, place[label]) for row in lesson.rows if (label := lesson.label_of(row)) in place]
        lexical = fit_lexical(
            [text for text, _ in taught], [label for _, label in taught], len(lesson.labels)
        )
    tagging = _tagging(lesson, tokenizer, marks, place)
    classifier = Classifier(encoder, Spelling.of(texts, encoder.words()), lexical, Mixture(), tagging)
    classifier.save_head(folder / HEAD_FILE)
    return TrainedClassifier(classifier, network, marks)


def _tagging(
    lesson: TrainingTask, tokenizer: Tokenizer, marks: Sequence[str], place: Mapping[str, int]
) -> Tagging:
    """What the marked rows of the lesson say of tags."""
    rows: list[tuple[int | None, list[int]]] = []
    for row in lesson.rows:
        if row.spans is not None:
            offsets = read_tokens(tokenizer, row.text)[1]
            pieces = tags(row.spans, offsets, marks)
            of_words = [pieces[first] for _, _, (first, *_) in words(row.text, offsets)]
            rows.append((place.get(lesson.label_of(row) or ""), of_words))
    return fit_tagging(rows, len(lesson.labels), len(marks))


def signals_of(
    classifier: Classifier, lesson: TrainingTask, rows: Sequence[Row]
) -> tuple[list[Signals], NDArray[np.int64]]:
    """What the classifier makes of rows that it was not trained on, and their label indices or NOWHERE."""
    place = {label: index for index, label in enumerate(lesson.labels)}
    wanted = [place.get(lesson.label_of(row) or "", NOWHERE) for row in rows]
    return [classifier.signals(row.text)[0] for row in rows], np.array(wanted, dtype=np.int64)
