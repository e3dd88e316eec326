"""The router: which domain an utterance is for, or that a person or nobody here should take it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.bundle import (
    MODEL_FILE,
    NEIGHBOURS_FILE,
    TOKENIZER_FILE,
    Card,
    read_card,
    size_bytes,
)
from slmfleet.models.calibrate import softmax
from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision, Explanation, ModelVersion
from slmfleet.models.encoder import Encoder
from slmfleet.models.errors import BundleFault, ModelBroken
from slmfleet.models.explain import NEAREST, explain
from slmfleet.models.fleet import Fleet
from slmfleet.models.neighbours import NeighboursFile
from slmfleet.models.text import without_references
from slmfleet.router.policy import decide


class Router:
    """Classifies an utterance over the domains, HAND_OFF and OUT_OF_SCOPE, with a calibrated confidence."""

    def __init__(
        self, card: Card, encoder: Encoder, bytes_: int, neighbours: NeighboursFile | None = None
    ) -> None:
        self.card = card
        self.bytes = bytes_
        self._encoder = encoder
        self._neighbours = neighbours
        self._version = ModelVersion(card.name, card.version)

    @classmethod
    def load(cls, folder: Path) -> Router:
        """The router of a bundle folder. Raises BundleFault, ModelBroken."""
        card = read_card(folder, "router")
        encoder = Encoder(folder / MODEL_FILE, folder / TOKENIZER_FILE)
        router = cls(card, encoder, size_bytes(folder), NeighboursFile(folder / NEIGHBOURS_FILE))
        router.probe()
        return router

    @classmethod
    def of(cls, fleet: Fleet) -> Router:
        """The router of a fleet. Raises BundleFault, also when it was trained for other domains."""
        folder = fleet.folder / "router" / "bundle"
        router = cls.load(folder)
        if set(router.card.labels) != {*fleet.domains, HAND_OFF, OUT_OF_SCOPE}:
            raise BundleFault(
                f"{folder}: was trained for other domains than fleet.yaml has: run `slmfleet train router`"
            )
        return router

    def route(self, text: str) -> Decision:
        """Where `text` goes. Raises ModelBroken for a model that answers nonsense."""
        started = time.thread_time()
        probabilities = softmax(self._encoder.encode(without_references(text)).intent, self.card.temperature)
        if not np.isfinite(probabilities).all():
            raise ModelBroken("the router model answers with numbers that are not finite")
        decision = decide(text, self.card.labels, probabilities, self.card.threshold, self._version)
        return decision.costing((time.thread_time() - started) * 1e3)

    def explain(self, text: str) -> Explanation:
        """Why `text` as a whole goes where it goes. Raises ModelBroken, BundleFault.

        Dozens of passes where routing takes one.
        """
        started = time.thread_time()
        embedding = self._encoder.encode(without_references(text)).embedding
        nearest = self._neighbours.nearest(embedding, NEAREST) if self._neighbours else ()
        explanation = explain(
            self._score, text, self.card.labels, self.card.threshold, nearest, (HAND_OFF, OUT_OF_SCOPE)
        )
        return explanation.costing((time.thread_time() - started) * 1e3)

    def _score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        logits = np.stack([self._encoder.encode(without_references(text)).intent for text in texts])
        probabilities = softmax(logits, self.card.temperature)
        if not np.isfinite(probabilities).all():
            raise ModelBroken("the router model answers with numbers that are not finite")
        return probabilities

    def probe(self) -> None:
        """Ask the model the question on its card. Raises ModelBroken when it cannot answer it."""
        probe = self.card.probe
        try:
            domain = self.route(probe.text).routes[0].domain
        except ModelBroken:
            raise
        except Exception as error:
            # ONNX Runtime raises its own kinds; whatever it is, this model cannot be asked.
            raise ModelBroken("the router model cannot be asked") from error
        if domain != probe.label:
            raise ModelBroken(f"the router model answers its probe with {domain}, not {probe.label}")
