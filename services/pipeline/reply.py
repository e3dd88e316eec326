"""Decides and words the answer from readings, policy and records. Nothing is said without evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slmfleet.models.contracts import (
    HAND_OFF,
    OUT_OF_SCOPE,
    Answer,
    Decision,
    Evidence,
    Part,
    Reading,
    Status,
)
from slmfleet.models.fleet.config import Domain, Fleet, Intent
from slmfleet.models.fleet.reply_facts import placeholders
from slmfleet.models.text.grounding import numbers, ungrounded
from slmfleet.services.pipeline.pipeline import Query
from slmfleet.services.records.store import Records
from slmfleet.services.records.wording import (
    customer_facts,
    order_facts,
    order_situation,
    product_facts,
    situation_template,
    spoken_orders,
)

MAX_ORDERS = 3

#: Of several parts the whole answer takes the status that asks most of the customer.
_PRECEDENCE: tuple[Status, ...] = (
    "needs_confirmation", "needs_identity", "needs_input", "handed_off", "answered", "out_of_scope",
)  # fmt: skip

#: Status, text and evidence of one part.
Verdict = tuple[Status, str, tuple[Evidence, ...]]


class Replier:
    """Words answers for one fleet over its records."""

    def __init__(self, fleet: Fleet, records: Records) -> None:
        self._fleet = fleet
        self._records = records
        config = fleet.config
        said = {"retailer": config.retailer, "phone": config.support.phone, "hours": config.support.hours}
        self._wording = {
            name: _filled(sentence, said) for name, sentence in config.wording.model_dump().items()
        }

    def reply(self, query: Query, decision: Decision, readings: Sequence[Reading]) -> Answer:
        """The answer: one part for each reading, or the words for a hand-off or what is out of scope.

        Of several parts each keeps its own text, status and evidence. The whole says what was answered or is
        asked back, in order, then once that a person takes the rest; its status is the one that asks most of
        the customer, so that nothing is taken for finished while a part of it waits.
        """
        if decision.abstained:
            return self._unsure(readings)
        if not readings:
            domain = decision.routes[0].domain
            if domain == OUT_OF_SCOPE:
                return Answer("out_of_scope", self._wording["out_of_scope"])
            return Answer("handed_off", self._wording["handed_off" if domain == HAND_OFF else "no_evidence"])
        parts = tuple(self._part(query, reading) for reading in readings)
        statuses: list[Status] = [part.status for part in parts]
        said = [part.text for part in parts if part.status != "handed_off"]
        handed = [part.text for part in parts if part.status == "handed_off"]
        if any(route.domain == HAND_OFF for route in decision.routes):
            statuses.append("handed_off")
            handed.append(self._wording["handed_off"])
        if self._wording["handed_off"] in handed:
            handed = [self._wording["handed_off"]]
        elif handed and said:
            # "I don't have an answer to that" would be read as about what has just been answered.
            handed = [self._wording["rest_handed_off"]]
        status = min(statuses, key=_PRECEDENCE.index)
        return Answer(status, "\n\n".join(dict.fromkeys([*said, *handed])), parts)

    def _unsure(self, readings: Sequence[Reading]) -> Answer:
        """The answer to what the router is not sure of: an offer at most, whatever the readings say."""
        parts = [_part(one, self._offered(one, self._fleet.domains[one.domain])) for one in readings]
        offers = tuple(part for part in parts if part.status == "needs_input")
        if not offers:
            return Answer("handed_off", self._wording["unsure"])
        return Answer("needs_input", "\n\n".join(part.text for part in offers), offers)

    def _part(self, query: Query, reading: Reading) -> Part:
        domain = self._fleet.domains[reading.domain]
        intent = domain.config.intents[reading.intent]
        return _part(reading, self._verdict(query, reading, domain, intent))

    def _verdict(self, query: Query, reading: Reading, domain: Domain, intent: Intent) -> Verdict:
        if intent.hand_off:
            return "handed_off", self._wording["handed_off"], ()
        # Records are not read on a guess: an unsure intent can be answered from knowledge at most.
        if intent.record != "none" and reading.intent_is_sure:
            verdict = self._from_records(query, reading, domain, intent)
            if verdict is not None:
                return verdict
        if reading.passage_is_evidence:
            # Knowledge may have changed since it was read: a passage that is gone says nothing any more.
            passage = domain.passage_by_id.get(reading.passages[0].passage_id)
            if passage is not None:
                return "answered", passage.text, (_quoted(domain, passage.id),)
        return self._offered(reading, domain)

    def _offered(self, reading: Reading, domain: Domain) -> Verdict:
        """The passages that may be meant, by their titles; the evidence of each quotes its title."""
        known = domain.passage_by_id
        offered = [known[match.passage_id] for match in reading.passages if match.passage_id in known]
        if not offered:
            return "handed_off", self._wording["no_evidence"], ()
        choices = "\n".join(f"- {passage.title}" for passage in offered)
        evidence = [Evidence("knowledge", f"{domain.name}/{one.id}", one.title) for one in offered]
        return "needs_input", _filled(self._wording["needs_choice"], {"choices": choices}), tuple(evidence)

    def _from_records(self, query: Query, reading: Reading, domain: Domain, intent: Intent) -> Verdict | None:
        """What the records say; None when they are not needed and the customer named none."""
        if intent.record == "product":
            return self._from_product(reading, domain, intent)
        named = _named(reading, "order_id", intent)
        if not named and intent.record_use == "when_named":
            return None
        if query.customer is None:
            return "needs_identity", self._wording["needs_identity"], ()
        if intent.record == "customer":
            return self._from_customer(query.customer, domain, intent)
        return self._from_orders(query.customer, named, domain, intent)

    def _from_orders(self, customer: str, named: Sequence[str], domain: Domain, intent: Intent) -> Verdict:
        if named:
            orders = [self._records.order(customer, order_id) for order_id in named[:MAX_ORDERS]]
        else:
            recent = self._records.recent_orders(customer)
            if not recent:
                return "needs_input", self._wording["no_orders"], ()
            if len(recent) > 1:
                told = spoken_orders(recent)
                text = _filled(self._wording["needs_order"], {"orders": told})
                return "needs_input", text, (Evidence("record", "recent_orders", told),)
            orders = [recent[0]]
        texts: list[str] = []
        evidence: list[Evidence] = []
        missing = False
        days, today = self._fleet.return_window_days, self._fleet.today()
        for order, order_id in zip(orders, named or ("",), strict=False):
            if order is None:
                # The same words for an unknown order and for another customer's.
                missing = True
                texts.append(_filled(self._wording["unknown_order"], {"order_id": order_id}))
                continue
            template = situation_template(intent.reply, order_situation(order, today, days))
            facts = order_facts(order, today, days)
            status, text, stands_on = _worded(domain, intent, template, facts, order.order_id)
            if status == "handed_off":
                return "handed_off", self._wording["no_evidence"], ()
            texts.append(text)
            evidence += stands_on
        return ("needs_input" if missing else "answered"), " ".join(texts), tuple(evidence)

    def _from_customer(self, customer_id: str, domain: Domain, intent: Intent) -> Verdict:
        customer = self._records.customer(customer_id)
        if customer is None:
            return "needs_identity", self._wording["needs_identity"], ()
        facts = customer_facts(customer, self._records.recent_orders(customer_id))
        return self._or_hand_off(_worded(domain, intent, intent.reply["default"], facts, "customer"))

    def _from_product(self, reading: Reading, domain: Domain, intent: Intent) -> Verdict | None:
        for name in _named(reading, "product", intent):
            product = self._records.product(name)
            if product is not None:
                facts = product_facts(product)
                return self._or_hand_off(
                    _worded(domain, intent, intent.reply["default"], facts, product.product_id)
                )
        if intent.record_use == "required":
            return "needs_input", self._wording["needs_product"], ()
        return None

    def _or_hand_off(self, verdict: Verdict) -> Verdict:
        return verdict if verdict[0] == "answered" else ("handed_off", self._wording["no_evidence"], ())


def _part(reading: Reading, verdict: Verdict) -> Part:
    status, text, evidence = verdict
    return Part(
        reading.domain, reading.intent, reading.confidence, reading.slots,
        status, text, evidence, reading.model,
    )  # fmt: skip


def _named(reading: Reading, name: str, intent: Intent) -> list[str]:
    """The things of this kind that the question is about: its own, or else those it inherits."""
    own = dict.fromkeys(slot.value for slot in reading.slots if slot.name == name)
    required = intent.record_use == "required"
    inherited_slots = dict.fromkeys(
        one.value for one in reading.inherited_slots if one.name == name and (one.explicit or required)
    )
    return list(own or inherited_slots)


def _filled(sentence: str, values: Mapping[str, str]) -> str:
    """`sentence` with the placeholders that `values` has; the others stay for later."""
    for name, value in values.items():
        sentence = sentence.replace(f"{{{name}}}", value)
    return sentence


def _quoted(domain: Domain, passage_id: str) -> Evidence:
    return Evidence("knowledge", f"{domain.name}/{passage_id}", domain.passage_by_id[passage_id].text)


def _worded(domain: Domain, intent: Intent, template: str, facts: Mapping[str, str], ref: str) -> Verdict:
    """A record reply with what it stands on; handed_off when a number of it stands on nothing."""
    names = placeholders(template)
    rules = {name: rule for name, rule in domain.config.rules.items() if name in names}
    text = template.format_map({**facts, **{name: f"{rule.value:g}" for name, rule in rules.items()}})
    used = "; ".join(f"{name}: {facts[name]}" for name in sorted(names & facts.keys()))
    evidence = [Evidence("record", ref, used)] if used else []
    evidence += [
        Evidence("rule", f"{domain.name}.{name}", domain.passage_by_id[rule.passage].text)
        for name, rule in rules.items()
    ]
    missing = ungrounded(text, (one.quote for one in evidence))
    for passage_id in intent.passages:
        # A number written into the template itself stands on the policy that says so.
        if missing & numbers(domain.passage_by_id[passage_id].text):
            evidence.append(_quoted(domain, passage_id))
            missing = ungrounded(text, (one.quote for one in evidence))
    return ("handed_off" if missing or not evidence else "answered"), text, tuple(evidence)
