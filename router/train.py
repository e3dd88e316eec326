"""Training the router: rows of every domain, of hand-offs and of what is out of scope, to one bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from slmfleet.models.bundle import Card, write_card
from slmfleet.models.calibrate import fit_temperature, softmax, threshold_for_error
from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.data import Corpus, Row, hold_out
from slmfleet.models.encoder import MAX_TOKENS, Encoder
from slmfleet.models.examples import example_maker
from slmfleet.models.export import export_bundle
from slmfleet.models.fitting import Progress, Recipe, fit, seed_everything
from slmfleet.models.fleet import Fleet
from slmfleet.models.network import base_folder, build, parameters
from slmfleet.models.text import without_references
from slmfleet.models.train import BASE, choose_probe, recipe_for_card, trained_from
from slmfleet.models.vocabulary import trim
from slmfleet.router.classifier import Router
from slmfleet.router.evaluate import router_metrics

ROUTER = Recipe(layers=(0, 1, 2, 3, 5), vocabulary=6_000, epochs=5, rate=1.5e-4)


def train_router(
    fleet: Fleet, corpus: Corpus, progress: Progress, recipe: Recipe = ROUTER, folder: Path | None = None
) -> Card:
    """Train, export, calibrate and evaluate the router of `fleet` into `folder` (its bundle by default)."""
    folder = folder or fleet.folder / "router" / "bundle"
    labels = [*fleet.domains, HAND_OFF, OUT_OF_SCOPE]
    rows = [replace(row, text=without_references(row.text), spans=None) for row in corpus.train]
    kept, held = hold_out(rows, recipe.held_out)
    seed_everything(recipe.seed)
    tokenizer, kept_ids = trim(
        base_folder() / "tokenizer.json", [row.text for row in kept], recipe.vocabulary
    )
    network = build(kept_ids, recipe.layers, len(labels), 1, MAX_TOKENS)
    place = {label: index for index, label in enumerate(labels)}
    epochs = example_maker(
        kept, tokenizer, place, ["O"], {}, lambda row: row.domain, recipe.typo_share, recipe.seed
    )
    fit(network, epochs, [], recipe, progress)

    encoder = export_bundle(network, tokenizer, folder)
    temperature, threshold = _calibrate(encoder, held, labels, fleet.config.router.max_wrong_domain_rate)
    card = Card(
        kind="router",
        name="router",
        labels=labels,
        slot_labels=["O"],
        temperature=temperature,
        threshold=threshold,
        parameters=parameters(network),
        metrics={},
        recipe=recipe_for_card(recipe),
        base=BASE,
        trained_from=trained_from(kept, held, corpus.licences),
        probe=choose_probe(encoder, kept, labels, {index: row.domain for index, row in enumerate(kept)}),
    )
    metrics = router_metrics(Router(write_card(folder, card), encoder, 0), corpus.test)
    return write_card(folder, card.model_copy(update={"metrics": metrics}))


def _calibrate(
    encoder: Encoder, held: Sequence[Row], labels: Sequence[str], max_wrong_domain_rate: float
) -> tuple[float, float]:
    """Temperature and threshold from held-out rows that people wrote: templates are too easy."""
    written = [row for row in held if not row.template]
    logits = np.stack([encoder.encode(row.text).intent for row in written])
    wanted = np.array([labels.index(row.domain) for row in written])
    temperature = fit_temperature(logits, wanted)
    probabilities = softmax(logits, temperature)
    chosen = probabilities.argmax(1)
    dispatched = chosen < labels.index(HAND_OFF)
    wrong = (chosen != wanted)[dispatched]
    return temperature, threshold_for_error(probabilities.max(1)[dispatched], wrong, max_wrong_domain_rate)
