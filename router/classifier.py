"""The router: which domain an utterance is for, or that a person or nobody here should take it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision, Explanation, ModelVersion
from slmfleet.models.errors import BundleFault, ModelBroken
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.inference.bundle import NEIGHBOURS_FILE, Card, read_card, size_bytes
from slmfleet.models.inference.classifier import Classifier, Scores
from slmfleet.models.inference.explain import NEAREST, ScoreBatch, explain
from slmfleet.models.inference.neighbours import NeighboursFile
from slmfleet.models.text.normalise import without_references
from slmfleet.router.negation import retracted
from slmfleet.router.policy import combine, decide
from slmfleet.router.split import Clause, boundaries, clauses


class Router:
    """Classifies an utterance over the domains, HAND_OFF and OUT_OF_SCOPE, with a calibrated confidence."""

    def __init__(
        self, card: Card, classifier: Classifier, bytes_: int, neighbours: NeighboursFile | None = None
    ) -> None:
        self.card = card
        self.bytes = bytes_
        self._classifier = classifier
        self._neighbours = neighbours
        self._version = ModelVersion(card.name, card.version)

    @classmethod
    def load(cls, folder: Path) -> Router:
        """The router of a bundle folder. Raises BundleFault, ModelBroken."""
        card = read_card(folder, "router")
        classifier = Classifier.load(folder, card.mixture)
        router = cls(card, classifier, size_bytes(folder), NeighboursFile(folder / NEIGHBOURS_FILE))
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
        """Where each request in `text` goes. Raises ModelBroken where the outputs are not finite.

        One forward pass for a text of one request (retracted ones aside), n + 1 for n requests.
        """
        started = time.thread_time()
        gone = retracted(text)
        parts = clauses(text, boundaries(text), gone)
        start, end = parts[0].start, parts[-1].end
        decision = self._read(Clause(text[start:end], start, end))
        if len(parts) > 1:
            decision = combine(text, decision, [self._read(part) for part in parts])
        return decision.with_cost((time.thread_time() - started) * 1e3)

    def route_whole(self, text: str) -> Decision:
        """Where `text` goes, read as one request in one forward pass. Raises as `route` does."""
        started = time.thread_time()
        return self._read(Clause(text, 0, len(text))).with_cost((time.thread_time() - started) * 1e3)

    def explain(self, text: str) -> Explanation:
        """Why `text`, read as one request, goes where it goes. Raises ModelBroken, BundleFault.

        Takes dozens of forward passes, where routing takes one.
        """
        started = time.thread_time()
        scores = self._scores(text)
        nearest = self._neighbours.nearest(scores.encoding.embedding, NEAREST) if self._neighbours else ()
        explanation = explain(
            self._score, text, self.card.labels, self.card.threshold, nearest, (HAND_OFF, OUT_OF_SCOPE)
        )
        return explanation.with_cost((time.thread_time() - started) * 1e3)

    def _score(self, texts: Sequence[str]) -> ScoreBatch:
        return ScoreBatch.of([self._scores(text) for text in texts])

    def _scores(self, text: str) -> Scores:
        try:
            return self._classifier.score(without_references(text))
        except ModelBroken as error:
            raise ModelBroken(f"router: {error}") from error

    def _read(self, clause: Clause) -> Decision:
        return decide(clause, self.card.labels, self._scores(clause.text), self.card.threshold, self._version)

    def probe(self) -> None:
        """Read the probe on the card. Raises ModelBroken unless it gets the label on the card."""
        probe = self.card.probe
        try:
            domain = self.route_whole(probe.text).routes[0].domain
        except ModelBroken:
            raise
        except Exception as error:
            # ONNX Runtime raises types of its own; whichever it is, the model cannot be used.
            raise ModelBroken("the router model cannot be asked") from error
        if domain != probe.label:
            raise ModelBroken(f"the router model answers its probe with {domain}, not {probe.label}")
