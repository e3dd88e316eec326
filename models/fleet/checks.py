"""The rules that the parts of a fleet's folder must agree by: one function a rule, all in two tables.

A new rule is a function from what is checked to its faults, and a line in DOMAIN_RULES or FLEET_RULES.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.errors import Fault
from slmfleet.models.fleet.config import (
    DOMAIN_FILE,
    KNOWLEDGE_FILE,
    DomainConfig,
    Fleet,
    FleetConfig,
    Intent,
    Wording,
)
from slmfleet.models.fleet.document import Document
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.fleet.reply_facts import CUSTOMER_FACTS, ORDER_FACTS, PRODUCT_FACTS, placeholders
from slmfleet.models.text.grounding import ungrounded

#: Placeholders of every sentence of fleet.yaml's wording, and those of single ones besides.
_SUPPORT_FACTS: Final = ("retailer", "phone", "hours")
_WORDING_FACTS: Final[dict[str, tuple[str, ...]]] = {
    "needs_order": ("orders",),
    "unknown_order": ("order_id",),
    "needs_choice": ("choices",),
}


@dataclass(frozen=True)
class DomainFiles:
    """What is checked of one domain: domain.yaml, parsed, and the passages of knowledge.md."""

    document: Document
    config: DomainConfig
    passages: Sequence[Passage]

    @property
    def folder(self) -> Path:
        return self.document.path.parent

    @cached_property
    def passage_by_id(self) -> dict[str, Passage]:
        return {passage.id: passage for passage in self.passages}

    @property
    def replies(self) -> Iterator[tuple[str, Intent, str, str]]:
        """(name of the intent, intent, situation, template) of every reply."""
        for name, intent in self.config.intents.items():
            for situation, template in intent.reply.items():
                yield name, intent, situation, template


@dataclass(frozen=True)
class FleetFiles:
    """What is checked of fleet.yaml itself."""

    document: Document
    config: FleetConfig

    @property
    def folder(self) -> Path:
        return self.document.path.parent


def domain_lies_in_its_folder(files: DomainFiles) -> Iterator[Fault]:
    """A domain's name is that of its folder."""
    if files.config.domain != files.folder.name:
        yield files.document.fault(
            f"domain: '{files.config.domain}' lies in folder '{files.folder.name}'", "domain"
        )


def domain_is_no_label_of_the_router(files: DomainFiles) -> Iterator[Fault]:
    """HAND_OFF and OUT_OF_SCOPE are no domains."""
    if files.config.domain in (HAND_OFF, OUT_OF_SCOPE):
        yield files.document.fault(
            f"domain: '{files.config.domain}' is a label of the router's own", "domain"
        )


def rule_names_a_passage(files: DomainFiles) -> Iterator[Fault]:
    """The passage of a rule exists."""
    for name, rule in files.config.rules.items():
        if rule.passage not in files.passage_by_id:
            yield files.document.fault(f"rules.{name}: no passage '{rule.passage}'", "rules", name, "passage")


def rule_value_stands_in_its_passage(files: DomainFiles) -> Iterator[Fault]:
    """The number of a rule occurs in its passage."""
    for name, rule in files.config.rules.items():
        passage = files.passage_by_id.get(rule.passage)
        if passage is not None and f"{rule.value:g}" not in passage.text.replace(",", ""):
            yield files.document.fault(
                f"rules.{name}: {rule.value:g} does not occur in passage '{rule.passage}'", "rules", name
            )


def intent_names_passages(files: DomainFiles) -> Iterator[Fault]:
    """The passages of an intent exist."""
    for name, intent in files.config.intents.items():
        for index, passage in enumerate(intent.passages):
            if passage not in files.passage_by_id:
                yield files.document.fault(
                    f"intents.{name}: no passage '{passage}' in knowledge.md",
                    "intents", name, "passages", index,
                )  # fmt: skip


def passage_is_named_by_an_intent(files: DomainFiles) -> Iterator[Fault]:
    """Every passage is one that some intent names: another could never be the answer."""
    named = {passage for intent in files.config.intents.values() for passage in intent.passages}
    for passage in files.passages:
        if passage.id not in named:
            yield Fault(
                files.folder / KNOWLEDGE_FILE, passage.line, f"passage '{passage.id}' is named by no intent"
            )


def reply_is_for_a_known_situation(files: DomainFiles) -> Iterator[Fault]:
    """A reply's situation is one of its kind of record."""
    for name, intent, situation, _ in files.replies:
        if _facts_of(intent, situation) is None:
            known = ", ".join(ORDER_FACTS) if intent.record == "order" else "default"
            yield files.document.fault(
                f"intents.{name}.reply.{situation}: should be one of {known}",
                "intents", name, "reply", situation,
            )  # fmt: skip


def reply_uses_known_facts(files: DomainFiles) -> Iterator[Fault]:
    """A reply's placeholders are facts that its situation supplies, or rules of the domain."""
    for name, intent, situation, template in files.replies:
        facts = _facts_of(intent, situation)
        if facts is not None:
            allowed = (*facts, *files.config.rules)
            yield from _template_faults(
                files.document, template, allowed, "intents", name, "reply", situation
            )


def reply_numbers_stand_in_passages(files: DomainFiles) -> Iterator[Fault]:
    """A number written out in a reply occurs in a passage of its intent."""
    for name, intent, situation, template in files.replies:
        quotes = [files.passage_by_id[one].text for one in intent.passages if one in files.passage_by_id]
        loose = ungrounded(re.sub(r"\{\w*\}", "", template), quotes)
        if loose and _facts_of(intent, situation) is not None:
            yield files.document.fault(
                f"intents.{name}.reply.{situation}: {', '.join(sorted(loose))} stands in none of the "
                "intent's passages: name the passage that says so, or use a rule",
                "intents", name, "reply", situation,
            )  # fmt: skip


def order_reply_has_a_default(files: DomainFiles) -> Iterator[Fault]:
    """An order in a situation without a reply of its own is answered by `default`."""
    for name, intent in files.config.intents.items():
        if intent.record == "order" and "default" not in intent.reply:
            yield files.document.fault(f"intents.{name}.reply: needs a default", "intents", name, "reply")


DomainRule = Callable[[DomainFiles], Iterable[Fault]]
DOMAIN_RULES: Final[tuple[DomainRule, ...]] = (
    domain_lies_in_its_folder,
    domain_is_no_label_of_the_router,
    rule_names_a_passage,
    rule_value_stands_in_its_passage,
    intent_names_passages,
    passage_is_named_by_an_intent,
    reply_is_for_a_known_situation,
    reply_uses_known_facts,
    reply_numbers_stand_in_passages,
    order_reply_has_a_default,
)


def domain_faults(files: DomainFiles) -> list[Fault]:
    """Every fault of a domain's files."""
    return [fault for rule in DOMAIN_RULES for fault in rule(files)]


def wording_uses_known_facts(files: FleetFiles) -> Iterator[Fault]:
    """The placeholders of fleet.yaml's sentences can be filled in where the sentence is used."""
    for field in Wording.model_fields:
        allowed = (*_SUPPORT_FACTS, *_WORDING_FACTS.get(field, ()))
        sentence = getattr(files.config.wording, field)
        yield from _template_faults(files.document, sentence, allowed, "wording", field)


def gazetteer_has_a_file(files: FleetFiles) -> Iterator[Fault]:
    """The file of every gazetteer exists."""
    for slot, name in files.config.gazetteers.items():
        if not (files.folder / name).is_file():
            yield files.document.fault(f"gazetteers.{slot}: there is no file '{name}'", "gazetteers", slot)


def domain_has_a_folder(files: FleetFiles) -> Iterator[Fault]:
    """Every domain of fleet.yaml is a folder beside it."""
    for index, name in enumerate(files.config.domains):
        if not (files.folder / name).is_dir():
            yield files.document.fault(
                f"domains: there is no folder '{name}' beside fleet.yaml", "domains", index
            )


FleetRule = Callable[[FleetFiles], Iterable[Fault]]
FLEET_RULES: Final[tuple[FleetRule, ...]] = (
    wording_uses_known_facts,
    gazetteer_has_a_file,
    domain_has_a_folder,
)


def fleet_faults(files: FleetFiles) -> list[Fault]:
    """Every fault of fleet.yaml itself; those of its domains are apart."""
    return [fault for rule in FLEET_RULES for fault in rule(files)]


def folder_notes(fleet: Fleet) -> list[Fault]:
    """Folders with a domain.yaml that fleet.yaml does not name: no fault, but nothing of them is served."""
    return [
        Fault(
            path,
            1,
            f"folder '{path.parent.name}' is not in the domains of fleet.yaml: it is not served",
        )
        for path in sorted(fleet.folder.glob(f"*/{DOMAIN_FILE}"))
        if path.parent.name not in fleet.domains
    ]


def _facts_of(intent: Intent, situation: str) -> tuple[str, ...] | None:
    """The facts that a reply of `intent` may name in `situation`; None for a situation that there is not."""
    if intent.record == "order":
        return ORDER_FACTS.get(situation)
    if situation != "default":
        return None
    return CUSTOMER_FACTS if intent.record == "customer" else PRODUCT_FACTS


def _template_faults(
    document: Document, template: str, allowed: Iterable[str], *keys: str | int
) -> Iterator[Fault]:
    where = ".".join(str(key) for key in keys)
    try:
        unknown = placeholders(template) - set(allowed)
    except ValueError as error:
        yield document.fault(f"{where}: {error}", *keys)
        return
    if unknown:
        names = ", ".join(sorted(f"{{{name}}}" for name in unknown))
        known = ", ".join(sorted(allowed))
        yield document.fault(f"{where}: {names} is not known there; known: {known}", *keys)
