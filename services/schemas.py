"""The shapes of the HTTP interface, and of what other channels exchange: queries in, answers out."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from slmfleet.models.contracts import EvidenceKind, Status

MAX_TEXT_CHARACTERS = 2_000
MAX_HISTORY = 10


def _speakable(text: str) -> str:
    """NFC text without surrounding space. Raises ValueError for text that no customer can have typed."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must be valid Unicode (it contains a lone surrogate)")
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise ValueError("must contain something other than white space")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters")
    return text


Text = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TEXT_CHARACTERS,
        examples=["how long do I have to return shoes?"],
        # What `_speakable` checks, in the words of JSON Schema: something visible, and no NUL.
        json_schema_extra={"pattern": r"^[^\x00]*[^\s\x00][^\x00]*$"},
    ),
    AfterValidator(_speakable),
]


class QueryBody(BaseModel):
    """One question. The customer comes from the verified token, never from here."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    text: Text
    session_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    locale: str = Field(default="en-US", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    history: list[Text] = Field(
        default=[],
        max_length=MAX_HISTORY,
        description="What the same customer wrote before, oldest first; stands for the session's memory.",
    )
    #: Costs dozens of passes through the models, and such an answer never comes from a cache.
    explain: bool = False


class BatchBody(BaseModel):
    """Several questions of the same caller, answered in order; those of one session as one conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    queries: list[QueryBody] = Field(min_length=1)


class SlotBody(BaseModel):
    """`start` and `end` are character offsets into the query's text."""

    name: str
    value: str
    start: int
    end: int


class EvidenceBody(BaseModel):
    """What the answer stands on: a passage of policy, a record, or a rule."""

    kind: EvidenceKind
    ref: str
    quote: str


class ModelBody(BaseModel):
    """The bundle that read the query."""

    name: str
    version: str


class PartBody(BaseModel):
    """The answer to one intent of the query."""

    domain: str
    intent: str
    confidence: float
    slots: list[SlotBody]
    status: Status
    text: str
    evidence: list[EvidenceBody]
    model: ModelBody


class RunnerUpBody(BaseModel):
    """The domain that came second."""

    domain: str
    confidence: float


class RouteBody(BaseModel):
    """Where the query was sent, how surely, and what it would have taken to be sent at all.

    Of a query with several requests it is the first one's; `parts` tell where the others went.
    """

    domain: str
    confidence: float
    threshold: float
    abstained: bool
    runner_up: RunnerUpBody
    model: ModelBody


class LabelBody(BaseModel):
    """A label that a model knows, and how likely it took it to be."""

    label: str
    confidence: float


class WordBody(BaseModel):
    """A word of the text and its weight: by how much the log-odds of the decision drop without it.

    Of long texts a word is a group of neighbouring ones. `start` and `end` are character offsets into the
    explanation's text.
    """

    word: str
    start: int
    end: int
    weight: float


class FlipBody(BaseModel):
    """Without the words of `removed` the decision is `becomes`: another label, or `abstain`."""

    removed: list[str]
    becomes: str
    confidence: float


class NeighbourBody(BaseModel):
    """A training utterance near to the text; never what a customer wrote."""

    text: str
    label: str
    similarity: float


class ExplanationBody(BaseModel):
    """Why a model chose `label` for `text`, which is what it was given of the query; below `threshold` it
    abstains (0 for a label that stands however sure). `flip` is null when nothing short flips it."""

    text: str
    label: str
    confidence: float
    threshold: float
    runner_up: LabelBody
    words: list[WordBody]
    flip: FlipBody | None
    nearest: list[NeighbourBody]


class PartExplanationBody(ExplanationBody):
    """Why the specialist of `domain` chose an intent."""

    domain: str


class ExplanationsBody(BaseModel):
    """Why the query was routed so, and why each specialist that read it chose its intent.

    Of a query with several requests `route` is about the first one, taken alone; each of `parts` is about its
    own.
    A follow-up is explained together with the earlier words that it was read with. One that only names what
    was asked for ("#W7678072") keeps the decision of the question before, and what is explained is what the
    models make of both.
    """

    route: ExplanationBody
    parts: list[PartExplanationBody]


class CostBody(BaseModel):
    """What this answer cost. CPU time is measured; energy is estimated from it where it cannot be."""

    latency_ms: float
    cpu_ms: float
    energy_mj: float
    energy_source: Literal["estimated", "rapl"]


class AnswerBody(BaseModel):
    """The answer to one query."""

    id: str
    status: Status
    text: str
    parts: list[PartBody]
    route: RouteBody
    cache: Literal["hit", "miss", "bypass"]
    cost: CostBody
    session_id: str | None = None
    #: Only where the query asked for it.
    explanation: ExplanationsBody | None = None


class BatchAnswerBody(BaseModel):
    """Answers in the order of the queries."""

    answers: list[AnswerBody]


class DomainBody(BaseModel):
    """One specialist that is loaded."""

    domain: str
    title: str
    intents: list[str]
    passages: int
    version: str
    parameters: int
    bytes: int
    metrics: dict[str, float]


class RouterBody(BaseModel):
    """The router that is loaded."""

    version: str
    parameters: int
    bytes: int
    threshold: float
    max_wrong_domain_rate: float
    metrics: dict[str, float]


class FleetBody(BaseModel):
    """What is loaded and how it is placed."""

    retailer: str
    placement: Literal["colocated", "split"]
    router: RouterBody
    domains: list[DomainBody]


class HealthBody(BaseModel):
    """`checks` says what was looked at: a model's name to `ok` or what is wrong with it."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = {}


class Problem(BaseModel):
    """An error (RFC 9457, application/problem+json). `field` names the wrong field where there is one."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    field: str | None = None
