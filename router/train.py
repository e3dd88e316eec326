"""Training the router: rows of every domain, of hand-offs and of what is out of scope, to one bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.inference.bundle import Card
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.progress import Progress
from slmfleet.models.text.normalise import without_references
from slmfleet.models.training.calibration import calibrate
from slmfleet.models.training.card import draft_card, measured_card, trained_from
from slmfleet.models.training.classifier_training import Base, train_classifier
from slmfleet.models.training.data import Corpus, hold_out
from slmfleet.models.training.neighbours_fit import ROUTER_BYTES, ROUTER_TEMPLATES_PER_LABEL, write_neighbours
from slmfleet.models.training.recipe import ROUTER, Recipe
from slmfleet.models.training.task import TrainingTask
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
    all_rows = [replace(row, text=without_references(row.text), spans=None) for row in corpus.train]
    rows, held_out = hold_out(all_rows, recipe.held_out)
    task = TrainingTask(rows, [*fleet.domains, HAND_OFF, OUT_OF_SCOPE], lambda row: row.domain)
    trained = train_classifier(task, recipe, base, folder, progress)
    # Templates are too easy to calibrate on: only rows that people wrote show how sure the model may be.
    written = [row for row in held_out if not row.template]
    max_wrong_rate = fleet.config.router.max_wrong_domain_rate
    mixture, threshold = calibrate(trained.classifier, task, written, max_wrong_rate, len(fleet.domains))
    classifier = Classifier.load(folder, mixture)
    write_neighbours(
        folder, classifier.encoder, rows, task.label_of, ROUTER_BYTES, ROUTER_TEMPLATES_PER_LABEL
    )
    provenance = trained_from(rows, held_out, corpus.licences)
    card = draft_card("router", "router", task, recipe, trained, (classifier, threshold), provenance)
    return measured_card(
        folder, card, lambda sealed: router_metrics(Router(sealed, classifier, 0), corpus.test)
    )
