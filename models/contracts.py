"""What travels between router, specialists and services: plain frozen values.

Nothing here knows HTTP, Ray or a file. Services translate these to and from JSON (services/schemas.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Status = Literal[
    "answered", "needs_input", "needs_identity", "needs_confirmation", "handed_off", "out_of_scope"
]
EvidenceKind = Literal["knowledge", "record", "rule"]

#: Labels of the router that are not domains: a person is asked for, or nobody here can help.
HAND_OFF = "hand_off"
OUT_OF_SCOPE = "out_of_scope"
#: From this confidence on a domain is rather right than wrong.
LIKELY = 0.5
#: What a flip becomes when no label stands any more.
ABSTAIN = "abstain"


@dataclass(frozen=True, slots=True)
class Slot:
    """A named span of the utterance: `text[start:end]` is what was written, `value` its normal form."""

    name: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reference:
    """What another part of the conversation names: an order number, an invoice, a product.

    `explicit`: this utterance points at it ("can I cancel it?"). Without that it serves only an intent that
    can not be answered without one.
    """

    name: str
    value: str
    explicit: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a sentence of an answer stands on. `ref` is a passage id, record key or rule name."""

    kind: EvidenceKind
    ref: str
    quote: str


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Which bundle produced a reading: the model's name and its content digest (12 hex digits)."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Route:
    """Where (a part of) an utterance goes: a domain, HAND_OFF or OUT_OF_SCOPE.

    `start` is where `text` begins in the utterance, in characters. It is negative when `text` begins with
    words of an earlier utterance, `-start` characters of them.
    """

    domain: str
    confidence: float
    text: str
    start: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The router's verdict: a route for each request of the utterance, in its order.

    `abstained`: the only route did not reach `threshold`, so that nothing is answered: a person takes over,
    or passages of its domain are offered where it is `likely`. `runner_up` is that of the first route.
    """

    routes: tuple[Route, ...]
    threshold: float
    runner_up: tuple[str, float]
    abstained: bool
    model: ModelVersion
    cpu_ms: float = 0.0

    @property
    def likely(self) -> bool:
        """Whether the first route is rather right than wrong."""
        return self.routes[0].confidence >= LIKELY

    def with_cost(self, cpu_ms: float) -> Decision:
        """The same decision with what it cost."""
        return replace(self, cpu_ms=cpu_ms)


@dataclass(frozen=True, slots=True)
class PassageMatch:
    """A passage of the domain's knowledge and how well it fits: cosine in [-1, 1] plus lexical evidence."""

    passage_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training utterance near to a text: its label, and the cosine of both in [-1, 1]."""

    text: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class WordWeight:
    """A word `text[start:end]`: by how much the log-odds of the decision drop without it (natural log)."""

    word: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Flip:
    """Words without which the decision is another: `becomes`, a label or ABSTAIN, at `confidence`."""

    removed: tuple[str, ...]
    becomes: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model chose `label` for `text`: below `threshold` it abstains (0 for a label that always stands).
    `flip` is None when nothing short flips it."""

    text: str
    label: str
    confidence: float
    threshold: float
    runner_up: tuple[str, float]
    words: tuple[WordWeight, ...]
    flip: Flip | None
    nearest: tuple[Neighbour, ...]
    cpu_ms: float = 0.0

    def with_cost(self, cpu_ms: float) -> Explanation:
        """The same explanation with what it cost."""
        return replace(self, cpu_ms=cpu_ms)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a specialist made of an utterance, from one forward pass."""

    domain: str
    intent: str
    confidence: float
    slots: tuple[Slot, ...]
    passages: tuple[PassageMatch, ...]
    model: ModelVersion
    #: Whether the intent is sure enough to decide alone, and the best passage near enough to be evidence:
    #: both against thresholds fitted on held-out rows.
    intent_is_sure: bool
    passage_is_evidence: bool
    cpu_ms: float = 0.0
    #: What it can be read with besides its own slots.
    inherited_slots: tuple[Reference, ...] = ()
    #: Only when it was asked for.
    explanation: Explanation | None = None

    def explained(self, explanation: Explanation) -> Reading:
        """The same reading with its explanation, whose cost is added to its own."""
        return replace(self, explanation=explanation, cpu_ms=self.cpu_ms + explanation.cpu_ms)


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one intent of the query."""

    domain: str
    intent: str
    confidence: float
    slots: tuple[Slot, ...]
    status: Status
    text: str
    evidence: tuple[Evidence, ...]
    model: ModelVersion


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer, before it is given an id, a cost and a cache verdict by the pipeline."""

    status: Status
    text: str
    parts: tuple[Part, ...] = field(default=())
