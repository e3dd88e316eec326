"""Training the router: rows of every domain, of hand-offs and of what is out of scope, to one bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.inference.bundle import Card, write_card
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.progress import Progress
from slmfleet.models.text.normalise import without_references
from slmfleet.models.training.data import Corpus, hold_out
from slmfleet.models.training.learn import Base, TrainingTask, train_classifier
from slmfleet.models.training.loop import Recipe
from slmfleet.models.training.neighbours_fit import ROUTER_BYTES, ROUTER_TEMPLATES_PER_LABEL, write_neighbours
from slmfleet.models.training.recipes import ROUTER
from slmfleet.models.training.specialist import BASE, calibrate, choose_probe, recipe_for_card, trained_from
from slmfleet.router.classifier import Router
from slmfleet.router.evaluate import router_metrics


def train_router(
    fleet: Fleet,
    corpus: Corpus,
    progress: Progress,
    base: Base,
    recipe: Recipe = ROUTER,
    folder: Path | None = None,
) -> Card:
    """Train, export, calibrate and evaluate the router of `fleet` into `folder` (its bundle by default)."""
    folder = folder or fleet.folder / "router" / "bundle"
    labels = [*fleet.domains, HAND_OFF, OUT_OF_SCOPE]
    rows = [replace(row, text=without_references(row.text), spans=None) for row in corpus.train]
    kept, held = hold_out(rows, recipe.held_out)
    lesson = TrainingTask(kept, labels, lambda row: row.domain)
    learned = train_classifier(lesson, recipe, base, folder, progress)
    # Templates are too easy to calibrate on: rows that people wrote tell how sure the model may be.
    written = [row for row in held if not row.template]
    mixture, threshold = calibrate(
        learned.classifier, lesson, written, fleet.config.router.max_wrong_domain_rate, len(fleet.domains)
    )
    classifier = Classifier.load(folder, mixture)
    write_neighbours(
        folder, classifier.encoder, kept, lambda row: row.domain, ROUTER_BYTES, ROUTER_TEMPLATES_PER_LABEL
    )
    card = Card(
        kind="router",
        name="router",
        labels=labels,
        slot_labels=learned.slot_labels,
        mixture=mixture,
        threshold=threshold,
        parameters=learned.parameters,
        metrics={},
        recipe=recipe_for_card(recipe, len(kept), len(learned.slot_labels)),
        base=BASE,
        trained_from=trained_from(kept, held, corpus.licences),
        probe=choose_probe(classifier, kept, labels, {index: row.domain for index, row in enumerate(kept)}),
    )
    metrics = router_metrics(Router(write_card(folder, card), classifier, 0), corpus.test)
    return write_card(folder, card.model_copy(update={"metrics": metrics}))
