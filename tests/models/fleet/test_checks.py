"""Each rule alone: what breaks it, what it says, and where; and that no other rule says it too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.fleet import FLEET, RETURNS, RETURNS_KNOWLEDGE

from slmfleet.models.errors import Fault
from slmfleet.models.fleet import checks
from slmfleet.models.fleet.checks import DOMAIN_RULES, FLEET_RULES, DomainFiles, FleetFiles, folder_notes
from slmfleet.models.fleet.config import DomainConfig, FleetConfig
from slmfleet.models.fleet.document import read_document
from slmfleet.models.fleet.knowledge import read_passages
from slmfleet.models.fleet.loading import load_fleet


def domain_files(folder: Path) -> DomainFiles:
    document = read_document(folder / "domain.yaml")
    return DomainFiles(document, document.validate(DomainConfig), read_passages(folder / "knowledge.md"))


def fleet_files(folder: Path) -> FleetFiles:
    document = read_document(folder / "fleet.yaml")
    return FleetFiles(document, document.validate(FleetConfig))


#: rule -> old text, new text of domain.yaml, line of the fault, its message
BROKEN: dict[Callable[[DomainFiles], object], tuple[str, str, int, str]] = {
    checks.domain_lies_in_its_folder: (
        "domain: returns", "domain: refunds", 1, "domain: 'refunds' lies in folder 'returns'",
    ),
    checks.domain_is_no_label_of_the_router: (
        "domain: returns", "domain: hand_off", 1, "domain: 'hand_off' is a label of the router's own",
    ),
    checks.rule_names_a_passage: (
        "passage: the-window", "passage: the-door", 16, "rules.return_window_days: no passage 'the-door'",
    ),
    checks.rule_value_stands_in_its_passage: (
        "value: 30", "value: 31", 16, "rules.return_window_days: 31 does not occur in passage 'the-window'",
    ),
    checks.intent_names_passages: (
        "passages: [the-window]", "passages: [the-window, the-door]", 7,
        "intents.how_long: no passage 'the-door' in knowledge.md",
    ),
    checks.passage_is_named_by_an_intent: (
        "passages: [the-window]", "passages: [sending-back]", 3, "passage 'the-window' is named by no intent",
    ),
    checks.reply_is_for_a_known_situation: (
        "      default: Order", "      deliverd: It came.\n      default: Order", 14,
        "intents.how_to.reply.deliverd: should be one of pending, pending_modified, processed, ",
    ),
    checks.reply_uses_known_facts: (
        "{status}", "{statsu}", 14, "intents.how_to.reply.default: {statsu} is not known there; known: ",
    ),
    checks.reply_numbers_stand_in_passages: (
        "you have {return", "in 45 days you have {return", 14,
        "intents.how_to.reply.default: 45 stands in none of the intent's passages: name the passage that "
        "says so, or use a rule",
    ),
    checks.order_reply_has_a_default: (
        "      default: Order", "      pending: Order", 13, "intents.how_to.reply: needs a default",
    ),
}  # fmt: skip


def test_each_rule_of_a_domain_is_broken_here() -> None:
    assert list(BROKEN) == list(DOMAIN_RULES)


@pytest.mark.parametrize("rule", DOMAIN_RULES, ids=lambda rule: rule.__name__)
def test_a_rule_of_a_domain_says_where_it_is_broken(
    rule: Callable[[DomainFiles], list[Fault]], make_fleet: Callable[..., Path]
) -> None:
    old, new, line, message = BROKEN[rule]
    folder = make_fleet() / "returns"
    assert list(rule(domain_files(folder))) == []
    assert old in RETURNS
    make_fleet(**{"returns/domain.yaml": RETURNS.replace(old, new, 1)})
    (fault,) = rule(domain_files(folder))
    assert fault.message.startswith(message)
    assert fault.line == line
    assert fault.file.parent == folder


#: rule -> old text, new text of fleet.yaml, line of the fault, its message
BROKEN_FLEET: dict[Callable[[FleetFiles], object], tuple[str, str, int, str]] = {
    checks.wording_uses_known_facts: (
        "{orders}?", "{order}?", 10,
        "wording.needs_order: {order} is not known there; known: hours, orders, phone, retailer",
    ),
    checks.gazetteer_has_a_file: (
        "wording:", "gazetteers: {product: names.txt}\nwording:", 5,
        "gazetteers.product: there is no file 'names.txt'",
    ),
    checks.domain_has_a_folder: (
        "[returns, parcels]", "[returns, parcels, gifts]", 4,
        "domains: there is no folder 'gifts' beside fleet.yaml",
    ),
}  # fmt: skip


def test_each_rule_of_a_fleet_is_broken_here() -> None:
    assert list(BROKEN_FLEET) == list(FLEET_RULES)


@pytest.mark.parametrize("rule", FLEET_RULES, ids=lambda rule: rule.__name__)
def test_a_rule_of_a_fleet_says_where_it_is_broken(
    rule: Callable[[FleetFiles], list[Fault]], make_fleet: Callable[..., Path]
) -> None:
    old, new, line, message = BROKEN_FLEET[rule]
    assert list(rule(fleet_files(make_fleet()))) == []
    assert old in FLEET
    (fault,) = rule(fleet_files(make_fleet(**{"fleet.yaml": FLEET.replace(old, new)})))
    assert (fault.message, fault.line) == (message, line)


def test_a_template_that_cannot_be_parsed_is_a_fault(make_fleet: Callable[..., Path]) -> None:
    folder = make_fleet(**{"returns/domain.yaml": RETURNS.replace("{status}", "{status!r}")})
    (fault,) = checks.reply_uses_known_facts(domain_files(folder / "returns"))
    assert "write {name} with a fact's name only" in fault.message


def test_a_folder_that_fleet_yaml_does_not_name_is_noted(make_fleet: Callable[..., Path]) -> None:
    fleet = load_fleet(make_fleet())
    assert folder_notes(fleet) == []
    folder = make_fleet(**{"gifts/domain.yaml": RETURNS, "gifts/knowledge.md": RETURNS_KNOWLEDGE})
    (note,) = folder_notes(load_fleet(folder))
    assert str(note) == (
        f"{folder}/gifts/domain.yaml:1: folder 'gifts' is not in the domains of fleet.yaml: it is not served"
    )
