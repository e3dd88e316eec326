"""What travels between router, specialists and services: frozen values, from the decision to the answer.

`Answer`, with all that is in it, is also the JSON of every channel: pydantic reads and writes it as it stands
here, and `json_schema` names a class in the OpenAPI document. Nothing here knows HTTP, Ray or a file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

T = TypeVar("T")

Status = Literal[
    "answered", "needs_input", "needs_identity", "needs_confirmation", "handed_off", "out_of_scope"
]
EvidenceKind = Literal["knowledge", "record", "rule"]
CacheResult = Literal["hit", "miss", "bypass"]
EnergySource = Literal["estimated", "rapl"]

#: Labels of the router that are not domains: a person is asked for, or nobody here can help.
HAND_OFF = "hand_off"
OUT_OF_SCOPE = "out_of_scope"
#: From this confidence on a domain is rather right than wrong.
LIKELY = 0.5
#: What a flip becomes when no label stands any more.
ABSTAIN = "abstain"

#: A share, cosine or weight: rounded to four digits when it becomes part of an Answer.
Rounded = Annotated[float, AfterValidator(lambda value: round(value, 4))]


def json_schema(name: str) -> Callable[[type[T]], type[T]]:
    """For a dataclass of an Answer: its `name` in JSON Schema, described by its docstring; see Rounded."""

    def named(kind: type[T]) -> type[T]:
        description = inspect.cleandoc(kind.__doc__ or "")
        kind.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
            title=name, json_schema_extra={"description": description}, revalidate_instances="always"
        )
        return kind

    return named


@json_schema("SlotBody")
@dataclass(frozen=True, slots=True)
class Slot:
    """`start` and `end` are character offsets into the query's text."""

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


@json_schema("EvidenceBody")
@dataclass(frozen=True, slots=True)
class Evidence:
    """What the answer stands on: a passage of policy, a record, or a rule."""

    kind: EvidenceKind
    #: Passage id (`domain/id`), key of the record, or name of the rule.
    ref: str
    quote: str


@json_schema("ModelBody")
@dataclass(frozen=True, slots=True)
class ModelVersion:
    """The bundle that read the query."""

    name: str
    #: Content digest of the bundle, 12 hex digits.
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


@json_schema("RunnerUpBody")
@dataclass(frozen=True, slots=True)
class RunnerUp:
    """The domain that came second."""

    domain: str
    confidence: Rounded


@json_schema("RouteBody")
@dataclass(frozen=True, slots=True)
class Routing:
    """Where the query was sent, how surely, and what it would have taken to be sent at all.

    Of a query with several requests it is the first one's; `parts` tell where the others went.
    """

    domain: str
    confidence: Rounded
    threshold: Rounded
    abstained: bool
    runner_up: RunnerUp
    model: ModelVersion


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

    @property
    def routing(self) -> Routing:
        """The first route, as the answer shows it."""
        first = self.routes[0]
        runner_up = RunnerUp(*self.runner_up)
        return Routing(first.domain, first.confidence, self.threshold, self.abstained, runner_up, self.model)

    def with_cost(self, cpu_ms: float) -> Decision:
        """The same decision with what it cost."""
        return replace(self, cpu_ms=cpu_ms)


@dataclass(frozen=True, slots=True)
class PassageMatch:
    """A passage of the domain's knowledge and how well it fits: cosine in [-1, 1] plus lexical evidence."""

    passage_id: str
    score: float


@json_schema("LabelBody")
@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label that a model knows, and how likely it took it to be."""

    label: str
    confidence: Rounded


@json_schema("NeighbourBody")
@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training utterance near to the text; never what a customer wrote."""

    text: str
    label: str
    #: Cosine, in [-1, 1].
    similarity: Rounded


@json_schema("WordBody")
@dataclass(frozen=True, slots=True)
class WordWeight:
    """A word of the text and its weight: by how much the log-odds of the decision drop without it.

    Of long texts a word is a group of neighbouring ones. `start` and `end` are character offsets into the
    explanation's text.
    """

    word: str
    start: int
    end: int
    #: Natural logarithm.
    weight: Rounded


@json_schema("FlipBody")
@dataclass(frozen=True, slots=True)
class Flip:
    """Without the words of `removed` the decision is `becomes`: another label, or `abstain`."""

    removed: tuple[str, ...]
    becomes: str
    confidence: Rounded


@json_schema("ExplanationBody")
@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model chose `label` for `text`, which is what it was given of the query; below `threshold` it
    abstains (0 for a label that stands however sure). `flip` is null when nothing short flips it."""

    text: str
    label: str
    confidence: Rounded
    threshold: Rounded
    runner_up: LabelScore
    words: tuple[WordWeight, ...]
    flip: Flip | None
    nearest: tuple[Neighbour, ...]
    #: Not in JSON: it is part of the answer's cost.
    cpu_ms: Annotated[float, Field(exclude=True), SkipJsonSchema()] = 0.0

    def with_cost(self, cpu_ms: float) -> Explanation:
        """The same explanation with what it cost."""
        return replace(self, cpu_ms=cpu_ms)

    def for_part(self, domain: str) -> PartExplanation:
        """The same explanation as that of the specialist of `domain`."""
        return PartExplanation(
            domain=domain, **{field.name: getattr(self, field.name) for field in fields(Explanation)}
        )


@json_schema("PartExplanationBody")
@dataclass(frozen=True, slots=True, kw_only=True)
class PartExplanation(Explanation):
    """Why the specialist of `domain` chose an intent."""

    domain: str


class Explanations(BaseModel):
    """Why the query was routed so, and why each specialist that read it chose its intent.

    Of a query with several requests `route` is about the first one, taken alone; each of `parts` is about its
    own.
    A follow-up is explained together with the earlier words that it was read with. One that only names what
    was asked for ("#W7678072") keeps the decision of the question before, and what is explained is what the
    models make of both.
    """

    model_config = ConfigDict(title="ExplanationsBody", frozen=True)

    route: Explanation
    parts: tuple[PartExplanation, ...]


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


@json_schema("PartBody")
@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one intent of the query."""

    domain: str
    intent: str
    confidence: Rounded
    slots: tuple[Slot, ...]
    status: Status
    text: str
    evidence: tuple[Evidence, ...]
    model: ModelVersion


@dataclass(frozen=True, slots=True)
class Reply:
    """What the customer is answered, and the parts that it is made of: what a replier returns."""

    status: Status
    text: str
    parts: tuple[Part, ...] = ()


@json_schema("CostBody")
@dataclass(frozen=True, slots=True)
class Cost:
    """What this answer cost. CPU time is measured; energy is estimated from it where it cannot be."""

    latency_ms: float
    cpu_ms: float
    energy_mj: float
    energy_source: EnergySource

    @classmethod
    def measured(cls, latency_s: float, cpu_s: float, joules: float, source: EnergySource) -> Cost:
        """The cost of measured seconds and joules, to three digits of a thousandth."""
        return cls(round(latency_s * 1e3, 3), round(cpu_s * 1e3, 3), round(joules * 1e3, 3), source)


class Answer(BaseModel):
    """The answer to one query."""

    model_config = ConfigDict(title="AnswerBody", frozen=True)

    id: str
    status: Status
    text: str
    parts: tuple[Part, ...]
    route: Routing
    cache: CacheResult
    cost: Cost
    session_id: str | None = None
    #: Only where the query asked for it.
    explanation: Explanations | None = None
