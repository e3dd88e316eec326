"""Training one classifier: a TrainingTask in, a trained and exported classifier out.

Routers, specialists and the readers of every benchmark suite are trained by this code and no other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor

from slmfleet.models.inference.bundle import HEAD_FILE, MODEL_FILE, TOKENIZER_FILE
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.encoder import MAX_TOKENS, Encoder, read_tokens
from slmfleet.models.inference.lexical import Lexical
from slmfleet.models.inference.mixture import Mixture
from slmfleet.models.inference.tagging import Tagging, words
from slmfleet.models.progress import Progress
from slmfleet.models.text.spelling import Spelling
from slmfleet.models.training.examples import example_maker, slot_labels_of, tags_of
from slmfleet.models.training.export import export_bundle, export_fp32
from slmfleet.models.training.lexical_fit import fit_lexical, fit_lexical_many
from slmfleet.models.training.loop import fit, seed_everything
from slmfleet.models.training.network import MultiHeadEncoder, build, parameters
from slmfleet.models.training.recipe import Recipe
from slmfleet.models.training.tagging_fit import fit_tagging
from slmfleet.models.training.task import TrainingTask

#: Tokenizer and weights of the encoder that training starts from (distill.distilled_base).
Base = tuple[Tokenizer, dict[str, Tensor]]


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier as it will be served, not yet calibrated, and the float network it was exported from."""

    classifier: Classifier
    network: MultiHeadEncoder
    slot_labels: list[str]

    @property
    def parameters(self) -> int:
        """Trained parameters of encoder and heads."""
        return parameters(self.network)

    def exact(self, folder: Path, mixture: Mixture) -> Classifier:
        """The classifier with float weights instead of int8 ones; `folder` is its bundle."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / MODEL_FILE
            export_fp32(self.network, path)
            encoder = Encoder(path, folder / TOKENIZER_FILE)
        served = self.classifier
        return Classifier(encoder, served.spelling, served.lexical, mixture, served.tagging)


def train_classifier(
    task: TrainingTask, recipe: Recipe, base: Base, folder: Path, progress: Progress
) -> TrainedClassifier:
    """Train on every row of `task`, starting from `base`; write graph, tokenizer and head into `folder`.

    The same task, recipe and base give the same files on one machine.
    """
    seed_everything(recipe.seed)
    tokenizer, weights = base
    slot_labels = slot_labels_of(task.rows, splits=recipe.join_share > 0)
    network = build(
        range(tokenizer.get_vocab_size()), recipe.layers, len(task.labels), len(slot_labels), MAX_TOKENS
    )
    network.bert.load_state_dict(weights)
    examples = example_maker(task, tokenizer, slot_labels, recipe)
    passages = [read_tokens(tokenizer, text)[0] for text in task.passages]
    fit(network, examples, passages, recipe, progress)
    encoder = export_bundle(network, tokenizer, folder)
    spelling = Spelling.of([row.text for row in task.rows], encoder.words())
    tagging = _tagging(task, tokenizer, slot_labels)
    classifier = Classifier(encoder, spelling, _lexical(task), Mixture(), tagging)
    classifier.save_head(folder / HEAD_FILE)
    return TrainedClassifier(classifier, network, slot_labels)


def _lexical(task: TrainingTask) -> Lexical:
    places = task.label_places
    if task.labels_of:
        many = [[places[label] for label in task.labels_of(row) if label in places] for row in task.rows]
        return fit_lexical_many([row.text for row in task.rows], many, len(places))
    labelled = [(row.text, places[label]) for row in task.rows if (label := task.label_of(row)) in places]
    return fit_lexical([text for text, _ in labelled], [place for _, place in labelled], len(places))


def _tagging(task: TrainingTask, tokenizer: Tokenizer, slot_labels: Sequence[str]) -> Tagging:
    """Which tags follow each other, and which each label has, in the rows whose slots are marked."""
    places = task.label_places
    rows: list[tuple[int | None, list[int]]] = []
    for row in task.rows:
        if row.spans is not None:
            offsets = read_tokens(tokenizer, row.text)[1]
            pieces = tags_of(row.spans, offsets, slot_labels)
            of_words = [pieces[first] for _, _, (first, *_) in words(row.text, offsets)]
            rows.append((places.get(task.label_of(row) or ""), of_words))
    return fit_tagging(rows, len(task.labels), len(slot_labels))
