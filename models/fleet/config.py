"""The shapes of fleet.yaml and domain.yaml, and what a fleet's folder holds once it is loaded.

`loading.load_fleet` reads a folder into a Fleet; `checks` has the rules that the parts must agree by.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.text.gazetteer import Gazetteers

#: In each domain's folder.
KNOWLEDGE_FILE = "knowledge.md"
DOMAIN_FILE = "domain.yaml"
MIN_INTENTS = 2

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=900)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """A number of the retailer's policy that replies may name, and the passage that states it."""

    value: int | float
    unit: str
    passage: str


class Intent(_Strict):
    """One thing that customers ask a domain for, and how it is answered.

    `record`: none = from knowledge alone; order, customer = from the verified customer's records;
    product = from the catalogue. `record_use`: required = without the record there is no answer;
    when_named = knowledge answers unless the customer named a record (an order number, a product).
    `reply`: order situation (models/fleet/reply_facts.py) -> sentence; customer and product records use
    `default`.
    """

    description: Sentence
    cacheable: Literal["shared", "per_customer", "never"]
    passages: tuple[str, ...] = ()
    record: Literal["none", "order", "customer", "product"] = "none"
    record_use: Literal["required", "when_named"] = "when_named"
    reply: dict[str, Sentence] = {}
    hand_off: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> Intent:
        if self.record in ("order", "customer") and self.cacheable == "shared":
            raise ValueError(f"an intent answered from {self.record} records cannot be cacheable: shared")
        if self.record == "none" and self.reply:
            raise ValueError("reply is for intents with a record; knowledge is quoted from passages")
        if self.record != "none" and not self.reply:
            raise ValueError(f"record: {self.record} needs a reply")
        if self.record == "none" and not self.passages and not self.hand_off:
            raise ValueError("without a record, name the passages that answer, or set hand_off: true")
        if self.record_use == "when_named" and self.record != "none" and not self.passages:
            raise ValueError("record_use: when_named needs passages for when no record is named")
        return self


class DomainConfig(_Strict):
    """domain.yaml: what one specialist is for."""

    domain: Name
    title: Sentence
    intents: dict[Name, Intent]
    rules: dict[Name, Rule] = {}

    @field_validator("intents")
    @classmethod
    def _tells_intents_apart(cls, intents: dict[str, Intent]) -> dict[str, Intent]:
        if len(intents) < MIN_INTENTS:
            raise ValueError(
                f"a domain needs at least {MIN_INTENTS} intents, not {len(intents)}: its model learns to "
                "tell one from another"
            )
        return intents


class Support(_Strict):
    """How a person is reached; named in hand-offs."""

    phone: str
    hours: str


class Wording(_Strict):
    """Sentences that are not any domain's. Placeholders: {retailer} {phone} {hours} and those listed."""

    out_of_scope: Sentence
    handed_off: Sentence
    unsure: Sentence
    needs_identity: Sentence
    needs_order: Sentence
    no_orders: Sentence
    unknown_order: Sentence
    needs_product: Sentence
    no_evidence: Sentence
    #: Where no passage is clear enough to be the answer, and one of a few may be. {choices}: their titles.
    needs_choice: Sentence = "Which of these do you mean? You can also ask for a person.\n{choices}"
    #: After the answer to another part of the same message.
    rest_handed_off: Sentence = "I'm passing the rest of your message to a person in our customer care team."


class RouterConfig(_Strict):
    """Limits that the router's threshold is fitted to: rates on held-out rows."""

    max_wrong_domain_rate: float = Field(default=0.02, gt=0, lt=0.5)


class FleetConfig(_Strict):
    """fleet.yaml: the retailer and its domains."""

    retailer: Sentence
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    today: date | None = None
    support: Support
    domains: tuple[Name, ...]
    #: Slot -> file of its phrases beside fleet.yaml, one a line: canonical form | other form | ...
    gazetteers: dict[Name, str] = {}
    router: RouterConfig = RouterConfig()
    wording: Wording

    @field_validator("domains")
    @classmethod
    def _has_a_domain(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        if not domains:
            raise ValueError("name at least one domain, a folder beside fleet.yaml")
        return domains


@dataclass(frozen=True)
class Domain:
    """A domain's configuration with its knowledge, and the folder both came from."""

    config: DomainConfig
    passages: tuple[Passage, ...]
    folder: Path
    gazetteers: Gazetteers
    #: From FleetConfig: what relative dates and bare amounts are read by.
    fixed_today: date | None = None
    currency: str = "USD"

    def today(self) -> date:
        """As Fleet.today."""
        return self.fixed_today or date.today()

    @property
    def name(self) -> str:
        return self.config.domain

    @property
    def knowledge_path(self) -> Path:
        """The file of its passages."""
        return self.folder / KNOWLEDGE_FILE

    @cached_property
    def knowledge_digest(self) -> str:
        """16 hex digits over domain.yaml and the passages: changes when either does."""
        contents = "\n".join(
            [self.config.model_dump_json(), *(f"{passage.id} {passage.digest}" for passage in self.passages)]
        )
        return hashlib.sha256(contents.encode()).hexdigest()[:16]

    @cached_property
    def passage_by_id(self) -> dict[str, Passage]:
        return {passage.id: passage for passage in self.passages}


@dataclass(frozen=True)
class Fleet:
    """A fleet's folder, loaded and checked."""

    config: FleetConfig
    domains: dict[str, Domain]
    folder: Path
    gazetteers: Gazetteers

    @property
    def return_window_days(self) -> int:
        """Days after delivery in which an order can be returned: the rule `return_window_days`, else 0."""
        for domain in self.domains.values():
            rule = domain.config.rules.get("return_window_days")
            if rule is not None:
                return int(rule.value)
        return 0

    def today(self) -> date:
        """The fleet's date: fixed for a demonstration, the calendar's otherwise."""
        return self.config.today or date.today()
