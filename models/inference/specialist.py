"""A specialist: reads an utterance with one domain's bundle."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from slmfleet.models.contracts import Explanation, ModelVersion, Reading, Slot
from slmfleet.models.errors import BundleFault, ModelBroken
from slmfleet.models.fleet.config import Domain
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.inference.bundle import INDEX_FILE, NEIGHBOURS_FILE, Card, read_card, size_bytes
from slmfleet.models.inference.classifier import Classifier, Scores
from slmfleet.models.inference.encoder import Encoder, Encoding
from slmfleet.models.inference.explain import NEAREST, ScoreBatch, explain
from slmfleet.models.inference.neighbours import NeighboursFile
from slmfleet.models.inference.retrieval import PassageIndex, Weights, match_strength, unpacked
from slmfleet.models.inference.tagging import Tagger
from slmfleet.models.text.slots import exact_slots


class Specialist:
    """Reads utterances of one domain into intent, slots and the passages that may answer."""

    def __init__(
        self, domain: Domain, card: Card, classifier: Classifier, index: PassageIndex, bytes_: int
    ) -> None:
        self.card = card
        self.bytes = bytes_
        self._domain = domain
        self._classifier = classifier
        self._index = index
        self._weights = Weights(**card.passage_weights)
        self._tagger = Tagger(card.slot_labels, classifier.tagging)
        self._version = ModelVersion(card.name, card.version)
        self._neighbours = NeighboursFile(domain.folder / "bundle" / NEIGHBOURS_FILE)

    @classmethod
    def load(cls, domain: Domain) -> Specialist:
        """The specialist of `domain` from its bundle folder. Raises BundleFault.

        Passages whose text changed since training are embedded anew: editing knowledge.md needs no training.
        """
        folder = domain.folder / "bundle"
        card = read_card(folder, "specialist")
        if sorted(card.labels) != sorted(domain.config.intents):
            raise BundleFault(
                f"{folder}: was trained for other intents than domain.yaml has: run "
                f"`slmfleet train {domain.name}`"
            )
        classifier = Classifier.load(folder, card.mixture)
        index = _read_index(domain, card, classifier.encoder)
        specialist = cls(domain, card, classifier, index, size_bytes(folder))
        specialist.probe()
        return specialist

    def reindex(self, domain: Domain) -> None:
        """Replace the domain by `domain`, the same with changed knowledge. Raises BundleFault."""
        index = _read_index(domain, self.card, self._classifier.encoder)
        self._domain, self._index = domain, index

    def read(self, text: str) -> Reading:
        """Intent, slots and passages of `text`. Raises ModelBroken where the outputs are not finite."""
        started = time.thread_time()
        scores = self._scores(text)
        encoding = scores.encoding
        passages = self._index.rank(scores.corrected, encoding.embedding, scores.probabilities, self._weights)
        return Reading(
            domain=self._domain.name,
            intent=self.card.labels[scores.best],
            confidence=scores.confidence,
            slots=self._slots(text, encoding, scores.best),
            passages=passages,
            model=self._version,
            intent_is_sure=scores.confidence >= self.card.threshold,
            passage_is_evidence=bool(passages)
            and match_strength([passage.score for passage in passages]) >= self._weights.floor,
            cpu_ms=(time.thread_time() - started) * 1e3,
        )

    def explain(self, text: str) -> Explanation:
        """Why `text` has the intent that `read` gives it. Raises ModelBroken, BundleFault.

        Takes dozens of forward passes, where reading takes one.
        """
        started = time.thread_time()
        nearest = self._neighbours.nearest(self._scores(text).encoding.embedding, NEAREST)
        explanation = explain(self._score, text, self.card.labels, self.card.threshold, nearest)
        return explanation.with_cost((time.thread_time() - started) * 1e3)

    def _score(self, texts: Sequence[str]) -> ScoreBatch:
        return ScoreBatch.of([self._scores(text) for text in texts])

    def _scores(self, text: str) -> Scores:
        try:
            return self._classifier.score(text)
        except ModelBroken as error:
            raise ModelBroken(f"{self.card.name}: {error}") from error

    def probe(self) -> None:
        """Read the probe on the card. Raises ModelBroken unless it gets the label on the card."""
        probe = self.card.probe
        try:
            intent = self.read(probe.text).intent
        except ModelBroken:
            raise
        except Exception as error:
            # ONNX Runtime raises types of its own; whichever it is, the model cannot be used.
            raise ModelBroken(f"the {self.card.name} model cannot be asked") from error
        if intent != probe.label:
            raise ModelBroken(
                f"the {self.card.name} model answers its probe with {intent}, not {probe.label}"
            )

    def _slots(self, text: str, encoding: Encoding, intent: int) -> tuple[Slot, ...]:
        domain = self._domain
        exact = exact_slots(text, domain.gazetteers, domain.today(), domain.currency)
        learned = [
            slot
            for slot in self._tagger.slots(text, encoding, intent)
            if all(slot.end <= other.start or slot.start >= other.end for other in exact)
        ]
        return tuple(sorted([*exact, *learned], key=lambda slot: slot.start))


def passage_text(passage: Passage) -> str:
    """The text of a passage that is embedded."""
    return f"{passage.title}. {passage.text}"


def _read_index(domain: Domain, card: Card, encoder: Encoder) -> PassageIndex:
    path = domain.folder / "bundle" / INDEX_FILE
    try:
        with np.load(path) as saved:
            vectors = unpacked(saved["passages"], saved["passage_scale"])
            utterances = unpacked(saved["utterances"], saved["utterance_scale"])
            owners = saved["owners"].astype(np.int64)
    except (OSError, KeyError, ValueError) as error:
        raise BundleFault(f"{path}: the passage index cannot be read: {error}") from error
    trained = list(card.passages)
    place = {passage.id: index for index, passage in enumerate(domain.passages)}
    rows = [
        vectors[trained.index(passage.id)]
        if card.passages.get(passage.id) == passage.digest
        else encoder.encode(passage_text(passage)).embedding
        for passage in domain.passages
    ]
    still = np.array([trained[owner] in place for owner in owners], dtype=bool)
    moved = np.array([place[trained[owner]] for owner in owners[still]], dtype=np.int64)
    return PassageIndex(
        domain.passages,
        np.stack(rows) if rows else np.zeros((0, vectors.shape[1]), np.float32),
        utterances[still],
        moved,
        {name: intent.passages for name, intent in domain.config.intents.items()},
        card.labels,
    )
