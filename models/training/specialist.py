"""Training one specialist: rows and knowledge of a domain in, a bundle out."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.config import Domain, Fleet
from slmfleet.models.inference.bundle import INDEX_FILE, Card
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.encoder import Encoder
from slmfleet.models.inference.retrieval import PassageIndex, Weights, packed, unpacked
from slmfleet.models.inference.specialist import Specialist, passage_text
from slmfleet.models.progress import Progress
from slmfleet.models.training.calibration import calibrate
from slmfleet.models.training.card import draft_card, measured_card, trained_from
from slmfleet.models.training.checks import thin_intents
from slmfleet.models.training.classifier_training import Base, train_classifier
from slmfleet.models.training.data import Corpus, Row, hold_out, with_phrases
from slmfleet.models.training.evaluate import specialist_metrics
from slmfleet.models.training.neighbours_fit import SPECIALIST_BYTES, write_neighbours
from slmfleet.models.training.recipe import SPECIALIST, Recipe
from slmfleet.models.training.retrieval_fit import fit_weights
from slmfleet.models.training.task import TrainingTask

#: Of the held-out rows that reach the threshold, at most this share has the wrong intent.
MAX_WRONG_INTENT_RATE = 0.05
#: Of the held-out rows that are answered by their best passage, at most this share has another's.
MAX_WRONG_PASSAGE_RATE = 0.2


def fleet_texts(fleet: Fleet, corpus: Corpus) -> list[str]:
    """What the base encoder is distilled on: every training utterance and every passage of the fleet."""
    passages = [passage_text(passage) for domain in fleet.domains.values() for passage in domain.passages]
    return [*(row.text for row in corpus.train), *passages]


def domain_texts(fleet: Fleet, corpus: Corpus, domain: str, others: int = 3_000) -> list[str]:
    """What the base is distilled on for one domain alone: its own texts, and at most `others` of the others'.

    A quarter of the fleet's texts, so that a new domain is served within minutes.
    """
    own = [row.text for row in corpus.train if row.domain == domain]
    own += [passage_text(passage) for passage in fleet.domains[domain].passages]
    rest = [row.text for row in corpus.train if row.domain != domain]
    return own + random.Random(SPECIALIST.seed).sample(rest, min(others, len(rest)))  # noqa: S311 - no secret


def train_specialist(
    domain: Domain,
    corpus: Corpus,
    progress: Progress,
    base: Base,
    recipe: Recipe = SPECIALIST,
    folder: Path | None = None,
) -> Card:
    """Train, export, calibrate and evaluate the specialist of `domain` into `folder` (its bundle by default).

    `base` is the tokenizer and the weights that distilled_base made.

    Raises DataFault when an intent has too few rows to learn from.
    """
    folder = folder or domain.folder / "bundle"
    all_rows = [with_phrases(row, domain.gazetteers) for row in corpus.of(domain.name).train]
    for fault in thin_intents(domain, all_rows):
        raise DataFault(f"{fault.file}: {fault.message}")
    rows, held_out = hold_out(all_rows, recipe.held_out)
    task = _task(domain, rows)
    trained = train_classifier(task, recipe, base, folder, progress)
    labelled = [row for row in held_out if row.intent is not None]
    mixture, threshold = calibrate(
        trained.classifier, task, labelled, MAX_WRONG_INTENT_RATE, len(task.labels)
    )
    classifier = Classifier.load(folder, mixture)
    index = _write_index(classifier.encoder, domain, task, folder)
    weights = _passage_weights(classifier, index, held_out, task.passage_places)
    write_neighbours(folder, classifier.encoder, rows, task.label_of, SPECIALIST_BYTES)
    provenance = trained_from(rows, held_out, corpus.licences)
    card = draft_card(
        "specialist", domain.name, task, recipe, trained, (classifier, threshold), provenance
    ).model_copy(
        update={
            "passages": {passage.id: passage.digest for passage in domain.passages},
            "passage_weights": asdict(weights),
        }
    )

    def measure(sealed: Card) -> dict[str, float]:
        return specialist_metrics(
            Specialist(domain, sealed, classifier, index, 0), corpus.of(domain.name).test
        )

    return measured_card(folder, card, measure)


def _task(domain: Domain, rows: Sequence[Row]) -> TrainingTask:
    return TrainingTask(
        rows,
        list(domain.config.intents),
        lambda row: row.intent,
        [passage_text(passage) for passage in domain.passages],
        {passage.id: index for index, passage in enumerate(domain.passages)},
    )


def _write_index(encoder: Encoder, domain: Domain, task: TrainingTask, folder: Path) -> PassageIndex:
    answered = [row for row in task.rows if row.passage is not None]
    passages, passage_scale = _embed(encoder, task.passages)
    utterances, utterance_scale = _embed(encoder, [row.text for row in answered])
    owners = np.array([task.passage_places[row.passage or ""] for row in answered], dtype=np.int16)
    np.savez_compressed(
        folder / INDEX_FILE,
        passages=passages,
        passage_scale=passage_scale,
        utterances=utterances,
        utterance_scale=utterance_scale,
        owners=owners,
    )
    return PassageIndex(
        domain.passages,
        unpacked(passages, passage_scale),
        unpacked(utterances, utterance_scale),
        owners.astype(np.int64),
        {name: intent.passages for name, intent in domain.config.intents.items()},
        task.labels,
    )


def _embed(encoder: Encoder, texts: Sequence[str]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Embeddings of `texts`, packed: (texts, 384), and a scale (texts,)."""
    vectors = np.zeros((len(texts), 384), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = encoder.encode(text).embedding
    return packed(vectors)


def _passage_weights(
    classifier: Classifier, index: PassageIndex, held_out: Sequence[Row], places: Mapping[str, int]
) -> Weights:
    answered = [row for row in held_out if row.passage is not None]
    evidence = []
    for row in answered:
        scores = classifier.score(row.text)
        evidence.append(index.evidence(scores.corrected, scores.encoding.embedding, scores.probabilities))
    right = [places[row.passage or ""] for row in answered]
    return fit_weights(evidence, right, MAX_WRONG_PASSAGE_RATE)[0]
