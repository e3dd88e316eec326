"""A retailer's fleet as configuration: fleet.yaml, each domain.yaml, and the knowledge they name.

`load_fleet(folder)` is the only way in: it reads everything, checks that the parts agree, and raises
FleetFault listing every fault with its file and line (what `slmfleet check` prints).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.errors import Fault, FleetFault
from slmfleet.models.fleet.knowledge import Passage, read_passages
from slmfleet.models.fleet.reply_facts import CUSTOMER_FACTS, ORDER_FACTS, PRODUCT_FACTS, placeholders
from slmfleet.models.text.gazetteer import Gazetteers
from slmfleet.models.text.grounding import ungrounded

#: In each domain's folder.
KNOWLEDGE_FILE = "knowledge.md"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
_Config = TypeVar("_Config", bound=BaseModel)
Sentence = Annotated[str, Field(min_length=1, max_length=900)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """A number the retailer's policy turns on, and the passage that states it."""

    value: int | float
    unit: str
    passage: str


class Intent(_Strict):
    """One thing a customer can want of a domain, and how it is answered.

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
    intents: dict[Name, Intent] = Field(min_length=2)
    rules: dict[Name, Rule] = {}


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
    """What is promised of routing, in rates on held-out rows."""

    max_wrong_domain_rate: float = Field(default=0.02, gt=0, lt=0.5)


class FleetConfig(_Strict):
    """fleet.yaml: the retailer and its domains."""

    retailer: Sentence
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    today: date | None = None
    support: Support
    domains: tuple[Name, ...] = Field(min_length=1)
    #: Slot -> file of its phrases beside fleet.yaml, one a line: canonical form | other form | ...
    gazetteers: dict[Name, str] = {}
    router: RouterConfig = RouterConfig()
    wording: Wording


WORDING_FACTS: dict[str, tuple[str, ...]] = {
    "needs_order": ("orders",),
    "unknown_order": ("order_id",),
    "needs_choice": ("choices",),
}
_SUPPORT_FACTS = ("retailer", "phone", "hours")


@dataclass(frozen=True)
class Domain:
    """A domain's configuration with its knowledge, and the folder both came from."""

    config: DomainConfig
    passages: tuple[Passage, ...]
    folder: Path
    gazetteers: Gazetteers
    #: The fleet's own settings that a domain reads by: see FleetConfig.
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
        """16 hex digits over the passages and what domain.yaml makes of them."""
        said = "\n".join(
            [self.config.model_dump_json(), *(f"{one.id} {one.digest}" for one in self.passages)]
        )
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @cached_property
    def passage_by_id(self) -> dict[str, Passage]:
        return {passage.id: passage for passage in self.passages}


@dataclass(frozen=True)
class Fleet:
    """Everything a fleet's folder says, checked."""

    config: FleetConfig
    domains: dict[str, Domain]
    folder: Path
    gazetteers: Gazetteers

    @property
    def return_window_days(self) -> int:
        """Days after delivery within which an order can be returned: the rule of that name, 0 without one."""
        for domain in self.domains.values():
            rule = domain.config.rules.get("return_window_days")
            if rule is not None:
                return int(rule.value)
        return 0

    def today(self) -> date:
        """The fleet's date: fixed for a demonstration, the calendar's otherwise."""
        return self.config.today or date.today()


def _line_of(node: Any, path: Sequence[str | int]) -> int:
    """Line (from 1) of the deepest part of `path` that exists below a ruamel round-trip node."""
    line = 1
    for key in path:
        try:
            where: Any = node.lc
            mark = where.key(key) if isinstance(node, dict) else where.item(key)
            line, node = mark[0] + 1, node[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line


@dataclass(frozen=True)
class _Document:
    """A YAML file with the lines of its keys, for messages."""

    path: Path
    tree: Any

    def fault(self, message: str, *keys: str | int) -> Fault:
        return Fault(self.path, _line_of(self.tree, keys), message)


def _read_yaml(path: Path) -> _Document:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FleetFault([Fault(path, 1, "there is no such file")]) from None
    except UnicodeDecodeError as error:
        raise FleetFault([Fault(path, 1, f"is not UTF-8 at byte {error.start}")]) from None
    try:
        tree = YAML(typ="rt").load(StringIO(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FleetFault([Fault(path, line, f"is not YAML: {error.problem}")]) from None
    if not isinstance(tree, dict):
        raise FleetFault([Fault(path, 1, "should be a mapping of settings")])
    return _Document(path, tree)


def _validated(document: _Document, kind: type[_Config]) -> _Config:
    try:
        return kind.model_validate(document.tree)
    except ValidationError as error:
        faults = []
        for problem in error.errors():
            keys = [key for key in problem["loc"] if key != "[key]"]
            where = ".".join(str(key) for key in keys)
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                message = "is not a setting known here; remove it or check its spelling"
            elif problem["type"] == "missing":
                message = "is missing"
            faults.append(document.fault(f"{where}: {message}" if where else message, *keys))
        raise FleetFault(faults) from None


def _reply_facts(intent: Intent, situation: str) -> tuple[str, ...] | None:
    if intent.record == "order":
        return ORDER_FACTS.get(situation)
    if situation != "default":
        return None
    return CUSTOMER_FACTS if intent.record == "customer" else PRODUCT_FACTS


def _template_faults(
    document: _Document, template: str, allowed: Iterable[str], *keys: str | int
) -> list[Fault]:
    where = ".".join(str(key) for key in keys)
    try:
        unknown = placeholders(template) - set(allowed)
    except ValueError as error:
        return [document.fault(f"{where}: {error}", *keys)]
    if not unknown:
        return []
    names = ", ".join(sorted(f"{{{name}}}" for name in unknown))
    return [
        document.fault(f"{where}: {names} is not known there; known: {', '.join(sorted(allowed))}", *keys)
    ]


def _domain_faults(document: _Document, config: DomainConfig, passages: Sequence[Passage]) -> list[Fault]:
    faults = []
    by_id = {passage.id: passage for passage in passages}
    if config.domain in (HAND_OFF, OUT_OF_SCOPE):
        faults.append(document.fault(f"domain: '{config.domain}' is a label of the router's own", "domain"))
    for name, rule in config.rules.items():
        if rule.passage not in by_id:
            faults.append(
                document.fault(f"rules.{name}: no passage '{rule.passage}'", "rules", name, "passage")
            )
        elif f"{rule.value:g}" not in by_id[rule.passage].text.replace(",", ""):
            faults.append(
                document.fault(
                    f"rules.{name}: {rule.value:g} does not occur in passage '{rule.passage}'", "rules", name
                )
            )
    for name, intent in config.intents.items():
        at = ("intents", name)
        for index, passage in enumerate(intent.passages):
            if passage not in by_id:
                faults.append(
                    document.fault(
                        f"intents.{name}: no passage '{passage}' in knowledge.md", *at, "passages", index
                    )
                )
        for situation, template in intent.reply.items():
            facts = _reply_facts(intent, situation)
            if facts is None:
                known = ", ".join(ORDER_FACTS) if intent.record == "order" else "default"
                faults.append(
                    document.fault(
                        f"intents.{name}.reply.{situation}: should be one of {known}", *at, "reply", situation
                    )
                )
                continue
            faults += _template_faults(document, template, (*facts, *config.rules), *at, "reply", situation)
            quotes = [by_id[passage].text for passage in intent.passages if passage in by_id]
            loose = ungrounded(re.sub(r"\{\w*\}", "", template), quotes)
            if loose:
                faults.append(
                    document.fault(
                        f"intents.{name}.reply.{situation}: {', '.join(sorted(loose))} stands in none of the "
                        "intent's passages: name the passage that says so, or use a rule",
                        *at,
                        "reply",
                        situation,
                    )
                )
        if intent.record == "order" and "default" not in intent.reply:
            faults.append(document.fault(f"intents.{name}.reply: needs a default", *at, "reply"))
    named = {passage for intent in config.intents.values() for passage in intent.passages}
    faults += [
        Fault(
            document.path.parent / KNOWLEDGE_FILE,
            passage.line,
            f"passage '{passage.id}' is named by no intent",
        )
        for passage in passages
        if passage.id not in named
    ]
    return faults


def _read_phrases(path: Path) -> dict[str, str]:
    phrases = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        forms = [" ".join(form.split()) for form in line.split("|") if form.strip()]
        phrases.update({form.lower(): forms[0] for form in forms})
    return phrases


def _load_domain(folder: Path, fleet: FleetConfig, gazetteers: Gazetteers) -> Domain:
    document = _read_yaml(folder / "domain.yaml")
    config = _validated(document, DomainConfig)
    if config.domain != folder.name:
        raise FleetFault(
            [document.fault(f"domain: '{config.domain}' lies in folder '{folder.name}'", "domain")]
        )
    if not (folder / KNOWLEDGE_FILE).is_file():
        raise FleetFault([Fault(folder / KNOWLEDGE_FILE, 1, "there is no such file")])
    passages = read_passages(folder / KNOWLEDGE_FILE)
    faults = _domain_faults(document, config, passages)
    if faults:
        raise FleetFault(faults)
    return Domain(config, passages, folder, gazetteers, fleet.today, fleet.currency)


def reread(fleet: Fleet, name: str) -> Domain:
    """A domain of `fleet` as its folder says now. Raises FleetFault, also when its intents are others:
    those are its model's, which has to be trained for them.
    """
    fresh = _load_domain(fleet.folder / name, fleet.config, fleet.gazetteers)
    if fresh.config.intents.keys() != fleet.domains[name].config.intents.keys():
        message = "intents: are others than those that are served; load the fleet anew for them"
        raise FleetFault([Fault(fresh.folder / "domain.yaml", 1, message)])
    return fresh


def load_fleet(folder: Path) -> Fleet:
    """Read and check a fleet's folder. Raises FleetFault with every fault found."""
    document = _read_yaml(folder / "fleet.yaml")
    config = _validated(document, FleetConfig)
    faults: list[Fault] = []
    for field in Wording.model_fields:
        allowed = (*_SUPPORT_FACTS, *WORDING_FACTS.get(field, ()))
        faults += _template_faults(document, getattr(config.wording, field), allowed, "wording", field)
    gazetteers: dict[str, dict[str, str]] = {}
    for slot, name in config.gazetteers.items():
        if (folder / name).is_file():
            gazetteers[slot] = _read_phrases(folder / name)
        else:
            faults.append(document.fault(f"gazetteers.{slot}: there is no file '{name}'", "gazetteers", slot))
    domains: dict[str, Domain] = {}
    for index, name in enumerate(config.domains):
        if not (folder / name).is_dir():
            faults.append(
                document.fault(f"domains: there is no folder '{name}' beside fleet.yaml", "domains", index)
            )
            continue
        try:
            domains[name] = _load_domain(folder / name, config, gazetteers)
        except FleetFault as fault:
            faults += fault.faults
    if faults:
        raise FleetFault(faults)
    return Fleet(config, domains, folder, gazetteers)
