"""A question in its conversation: one of several in a text, or a follow-up of earlier turns.

`Conversation` is what the pipeline calls; the functions below it do the work and keep no state.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from slmfleet.models.contracts import (
    HAND_OFF,
    Decision,
    Part,
    PassageMatch,
    Reading,
    Reference,
    Route,
    Slot,
)
from slmfleet.models.text.gazetteer import Gazetteers
from slmfleet.models.text.slots import exact_slots, normal_order_id
from slmfleet.router.follow_up import (
    anchor,
    bare_reference,
    choice,
    contextual,
    depends_on_context,
    is_elliptical,
    points_at,
)
from slmfleet.router.policy import is_confident
from slmfleet.services.pipeline.guarded_model import TextRouter
from slmfleet.services.pipeline.sessions import Turn

#: Slots that name a thing which several questions can be about.
REFERENCES: Final = ("order_id", "invoice_id", "product")

#: A route, and the specialist's reading of its text.
Read = tuple[Route, Reading]


@dataclass(frozen=True, slots=True)
class Routed:
    """A decision, with the turn whose question the text completes or the passage that it chooses, if any."""

    decision: Decision
    completes: Turn | None = None
    chosen: str | None = None


class Conversation:
    """One text after its earlier `turns`, oldest first. Call `route`, then `understand`, then `remember`."""

    def __init__(self, text: str, turns: Sequence[Turn], gazetteers: Gazetteers) -> None:
        self._text = text
        self._turns = turns
        self._gazetteers = gazetteers
        self._routed: Routed
        self._read: list[Read]
        self._readings: list[Reading]

    def route(self, router: TextRouter) -> Decision:
        """Where the text goes, given the turns before it. Blocking. Raises ModelBroken."""
        self._routed = route_in_context(router, self._text, self._turns)
        return self._routed.decision

    @property
    def may_offer(self) -> bool:
        """Whether passages may be offered: not twice in a row, to somebody who is not understood."""
        return not (self._turns and self._turns[-1].choices)

    def understand(self, read: Sequence[Read]) -> list[Reading]:
        """The readings of the decision's routes without duplicates, with slot offsets into the text."""
        self._read = merge_readings(self._routed, read)
        self._readings = readings_in_query(self._routed, self._text, self._read, self._turns)
        return self._readings

    def remember(self, parts: Sequence[Part]) -> Turn | None:
        """The turn to remember, `parts` being the reply's; None when a follow-up could not use it."""
        return make_turn(self._text, self._read, self._readings, parts, self._gazetteers)


def turns_from_history(history: Sequence[str], gazetteers: Gazetteers) -> tuple[Turn, ...]:
    """Turns from the earlier texts that a client sends along, oldest first."""
    return tuple(Turn(text, _references(exact_slots(text, gazetteers))) for text in history)


def route_in_context(router: TextRouter, text: str, turns: Sequence[Turn]) -> Routed:
    """The decision for `text` after `turns`, oldest first. Raises ModelBroken.

    One of the passages that were offered is chosen by its number or its title. A bare reference completes the
    question that waits for one. A text that leans on the one before by its form, or that is short and unsure
    by itself, is routed once more behind the request before it; it stays as it was when that is no surer. A
    wish for a person is never read otherwise.
    """
    decision = router.route(text)
    if not turns or len(decision.routes) > 1 or decision.routes[0].domain == HAND_OFF:
        return Routed(decision)
    before = turns[-1]
    place = choice(text, [title for _, title in before.choices])
    if place is not None:
        ref, title = before.choices[place]
        domain, _, passage = ref.rpartition("/")
        route = Route(domain or before.domain, before.routed, title, -len(title) - 1)
        return Routed(replace(decision, routes=(route,), abstained=False), chosen=passage)
    if before.waits and bare_reference(text):
        joined = f"{before.text} {text}"
        route = Route(before.domain, before.routed, joined, len(text) - len(joined))
        return Routed(replace(decision, routes=(route,), abstained=False), before)
    if depends_on_context(text) or (is_elliptical(text) and not is_confident(decision)):
        clause = contextual(text, [turn.text for turn in turns])
        if clause is not None:
            again = router.route_whole(clause.text)
            decision = decision.with_cost(decision.cpu_ms + again.cpu_ms)
            if is_confident(again) and again.routes[0].domain != HAND_OFF:
                route = replace(again.routes[0], start=clause.start)
                return Routed(replace(again, routes=(route,), cpu_ms=decision.cpu_ms))
    return Routed(decision)


def merge_readings(routed: Routed, read: Sequence[Read]) -> list[Read]:
    """`read` without duplicates: of equal intents the more confident one.

    Equal intents stay apart when both have evidence, but not the same ("express shipping costs ..., and
    standard shipping ..."), or name different things ("where are #W1 and #W2"). A question that the text
    completes keeps its intent, and a passage that it chooses is the answer.
    """
    merged: list[Read] = []
    for route, reading in read:
        turn = routed.completes
        if turn is not None and turn.model == reading.model:
            reading = replace(reading, intent=turn.intent, confidence=turn.confidence, intent_is_sure=True)
        if routed.chosen is not None:
            passages = (PassageMatch(routed.chosen, 1.0),)
            reading = replace(reading, passages=passages, passage_is_evidence=True, intent_is_sure=False)
        for index, (other_route, other) in enumerate(merged):
            if _same(other, reading):
                better = reading.confidence > other.confidence
                chosen = (route, reading) if better else (other_route, other)
                slots = tuple(
                    sorted({*_in_query(other_route, other), *_in_query(route, reading)}, key=_place)
                )
                merged[index] = (
                    chosen[0],
                    replace(
                        chosen[1],
                        slots=tuple(_moved(slot, -chosen[0].start) for slot in slots),
                        cpu_ms=reading.cpu_ms + other.cpu_ms,
                    ),
                )
                break
        else:
            merged.append((route, reading))
    return merged


def readings_in_query(
    routed: Routed, text: str, read: Sequence[Read], turns: Sequence[Turn]
) -> list[Reading]:
    """The readings with slot offsets into `text`, each with the references that it inherits.

    An order, invoice or product that one request of the text names is inherited by those that name none. Then
    come those of the utterance that a follow-up leans on, then those of the newest of `turns` that has any.
    """
    placed = [(route, reading, _in_query(route, reading)) for route, reading in read]
    if routed.completes is not None and not any(
        slot.name == "order_id" for _, _, own in placed for slot in own
    ):
        placed = [(route, reading, (*own, *_bare_number(text))) for route, reading, own in placed]
    named = dict.fromkeys(pair for _, _, own in placed for pair in _references(own))
    readings: list[Reading] = []
    for route, reading, own in placed:
        carried = [slot for slot in reading.slots if route.start + slot.start < 0]
        meant = [*named, *_references(carried)]
        follows = route.start < 0 or points_at(route.text)
        inherited_slots: list[Reference] = []
        for name in REFERENCES:
            if any(slot.name == name for slot in own):
                continue
            here = [value for kind, value in meant if kind == name]
            before = next((found for turn in reversed(turns) if (found := _values(turn, name))), [])
            inherited_slots += [Reference(name, value, bool(here) or follows) for value in here or before]
        readings.append(replace(reading, slots=own, inherited_slots=tuple(inherited_slots)))
    return readings


def make_turn(
    text: str,
    read: Sequence[Read],
    readings: Sequence[Reading],
    parts: Sequence[Part],
    gazetteers: Gazetteers,
) -> Turn | None:
    """The turn of an answered text; None when a follow-up could not use it.

    Of several parts it is the last that waits for a reference, else the last that offers passages, else the
    last. What any part offers may be chosen, numbers counting through.
    """
    references = dict.fromkeys(_references(exact_slots(text, gazetteers)))
    for reading in readings:
        references |= dict.fromkeys(_references(reading.slots))
    if not parts or len(parts) != len(read):
        return Turn("", tuple(references)) if references else None
    asking = [index for index, part in enumerate(parts) if part.status == "needs_input"]
    offers = {index: found for index in asking if (found := _offered(parts[index]))}
    waiting = [index for index in asking if index not in offers]
    index = (waiting or [*offers] or [len(parts) - 1])[-1]
    route, part = read[index][0], parts[index]
    return Turn(
        anchor(route.text), tuple(references), part.domain, part.intent, route.confidence, part.confidence,
        part.model, bool(waiting), tuple(dict.fromkeys(pair for found in offers.values() for pair in found)),
    )  # fmt: skip


def _offered(part: Part) -> list[tuple[str, str]]:
    return [(one.ref, one.quote) for one in part.evidence if one.kind == "knowledge"]


def _same(one: Reading, other: Reading) -> bool:
    if (one.domain, one.intent) != (other.domain, other.intent):
        return False
    ours, theirs = set(_references(one.slots)), set(_references(other.slots))
    if ours and theirs and ours != theirs:
        return False
    both = one.passage_is_evidence and other.passage_is_evidence
    return not both or one.passages[0].passage_id == other.passages[0].passage_id


def _references(slots: Sequence[Slot]) -> tuple[tuple[str, str], ...]:
    return tuple((slot.name, slot.value) for slot in slots if slot.name in REFERENCES)


def _values(turn: Turn, name: str) -> list[str]:
    return [value for kind, value in turn.references if kind == name]


def _in_query(route: Route, reading: Reading) -> tuple[Slot, ...]:
    """The slots where they stand in the query; those in words of an earlier turn are left out."""
    moved = (_moved(slot, route.start) for slot in reading.slots)
    return tuple(slot for slot in moved if slot.start >= 0)


def _moved(slot: Slot, by: int) -> Slot:
    return replace(slot, start=slot.start + by, end=slot.end + by) if by else slot


def _place(slot: Slot) -> tuple[int, int, str]:
    return slot.start, slot.end, slot.name


def _bare_number(text: str) -> tuple[Slot, ...]:
    """The first number of `text` as an order id: the earlier question makes it one."""
    found = re.search(r"[A-Za-z]{0,3}\d{4,15}", text)
    return () if found is None else (Slot("order_id", normal_order_id(found[0]), *found.span()),)
