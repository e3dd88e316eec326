"""The classifier that router and specialists share: spelling, encoder and lexical head, mixed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from slmfleet.models.errors import BundleFault, ModelBroken
from slmfleet.models.inference.bundle import HEAD_FILE, MODEL_FILE, TOKENIZER_FILE
from slmfleet.models.inference.encoder import Encoder, Encoding
from slmfleet.models.inference.lexical import Lexical
from slmfleet.models.inference.mixture import Mixture, Signals
from slmfleet.models.inference.numerics import Floats, log_softmax
from slmfleet.models.inference.tagging import Tagging
from slmfleet.models.text.spelling import Spelling


@dataclass(frozen=True, slots=True)
class Scores:
    """A classifier's result for one text: `probabilities` (labels,), index and confidence of the best."""

    probabilities: Floats
    best: int
    confidence: float
    signals: Signals
    encoding: Encoding
    #: The text with its typing errors corrected.
    corrected: str


def runner_up(probabilities: Floats, confidence: float) -> tuple[int | None, float]:
    """(index, confidence) of the second likeliest label; (None, ...) where there is only one.

    The others share 1 - `confidence` in proportion to their probabilities, so that both confidences compare.
    """
    if len(probabilities) < 2:
        return None, 1 - confidence
    first, second = np.argsort(-probabilities, kind="stable")[:2]
    others = max(1 - float(probabilities[first]), 1e-12)
    return int(second), min(confidence, (1 - confidence) * float(probabilities[second]) / others)


class Classifier:
    """Scores a text over the labels."""

    def __init__(
        self,
        encoder: Encoder,
        spelling: Spelling,
        lexical: Lexical,
        mixture: Mixture,
        tagging: Tagging,
    ) -> None:
        self.encoder = encoder
        self.spelling = spelling
        self.mixture = mixture
        self.lexical = lexical
        self.tagging = tagging

    @classmethod
    def load(cls, folder: Path, mixture: Mixture) -> Classifier:
        """The classifier of a bundle folder. Raises BundleFault."""
        encoder = Encoder(folder / MODEL_FILE, folder / TOKENIZER_FILE)
        try:
            with np.load(folder / HEAD_FILE) as file:
                arrays = dict(file)
            words = zlib.decompress(arrays.pop("words").tobytes()).decode().split("\n")
            spelling = Spelling(words, encoder.words())
            tagging = Tagging(arrays.pop("tag_follows"), arrays.pop("tag_strange"))
            return cls(encoder, spelling, Lexical(**arrays), mixture, tagging)
        except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise BundleFault(f"{folder / HEAD_FILE}: cannot be read: {error}") from error

    def save_head(self, path: Path) -> None:
        """Write head.npz, what is not in the graph: lexical head, training words, tag statistics."""
        words = zlib.compress("\n".join(self.spelling.trained).encode(), 9)
        arrays = self.lexical.arrays() | {
            "words": np.frombuffer(words, dtype=np.uint8),
            "tag_follows": self.tagging.transitions,
            "tag_strange": self.tagging.unseen,
        }
        np.savez_compressed(path, allow_pickle=False, **arrays)

    def signals(self, text: str) -> tuple[Signals, Encoding, str]:
        """(signals, encoding, corrected text) of `text`; the encoding's offsets are into the original."""
        corrected = self.spelling.correct(text)
        encoding = self.encoder.encode(corrected.text)
        if corrected.edits:
            spans = (span if span[0] == span[1] else corrected.back(*span) for span in encoding.offsets)
            encoding = replace(encoding, offsets=tuple(spans))
        log_probabilities = log_softmax(encoding.intent)
        # log_softmax subtracts the same from every logit.
        log_normaliser = float(encoding.intent[0] - log_probabilities[0])
        signals = Signals(log_probabilities, self.lexical.log_probabilities(corrected.text), log_normaliser)
        return signals, encoding, corrected.text

    def score(self, text: str) -> Scores:
        """Probabilities and confidence. Raises ModelBroken when they are not finite."""
        signals, encoding, corrected = self.signals(text)
        probabilities = self.mixture.probabilities(signals)
        best = int(np.argmax(probabilities))
        confidence = self.mixture.confidence(signals, probabilities, best)
        if not (np.isfinite(probabilities).all() and np.isfinite(confidence)):
            raise ModelBroken("the model answers with numbers that are not finite")
        return Scores(probabilities, best, confidence, signals, encoding, corrected)
