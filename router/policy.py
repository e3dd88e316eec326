"""From probabilities to a decision: dispatch, or abstain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision, ModelVersion, Route
from slmfleet.models.inference.classifier import Scores, runner_up
from slmfleet.router.cues import asks
from slmfleet.router.split import Clause


def decide(
    clause: Clause,
    labels: Sequence[str],
    scores: Scores,
    threshold: float,
    model: ModelVersion,
) -> Decision:
    """The decision for one clause from its scores over `labels`.

    Only a dispatch to a domain must reach `threshold`: HAND_OFF and OUT_OF_SCOPE answer nothing, and a
    doubtful one is a hand-off anyway.
    """
    best, confidence = labels[scores.best], scores.confidence
    second, second_confidence = runner_up(scores.probabilities, confidence)
    return Decision(
        routes=(Route(best, confidence, clause.text, clause.start),),
        threshold=threshold,
        runner_up=(OUT_OF_SCOPE if second is None else labels[second], second_confidence),
        abstained=best not in (HAND_OFF, OUT_OF_SCOPE) and confidence < threshold,
        model=model,
    )


def is_confident(decision: Decision) -> bool:
    """Whether the decision sends its text somewhere by itself: to a domain, or to a person."""
    return not decision.abstained and decision.routes[0].domain != OUT_OF_SCOPE


def combine(text: str, whole: Decision, parts: Sequence[Decision]) -> Decision:
    """The decision for `text` from that on the whole of it and those on its clauses, each of one route.

    The split holds only if each clause is confident by itself. One that is not, and requests nothing ("I
    ordered shoes last week."), is joined to the next one, the last to the one before; an unsure request
    undoes the split. So do fewer than two clauses, and a whole that goes to a person while no clause does.
    """
    routes: list[Route] = []
    first: Decision | None = None
    waiting: int | None = None
    for part in parts:
        route = part.routes[0]
        if is_confident(part) and route.confidence >= part.threshold:
            first = first or part
            begin, waiting = (route.start if waiting is None else waiting), None
            routes.append(_with_span(text, route, begin, route.start + len(route.text)))
        elif asks(route.text):
            return whole
        elif waiting is None:
            waiting = route.start
    if first is None or len(routes) < 2:
        return whole
    if whole.routes[0].domain == HAND_OFF and all(route.domain != HAND_OFF for route in routes):
        return whole
    if waiting is not None:
        last = parts[-1].routes[0]
        routes[-1] = _with_span(text, routes[-1], routes[-1].start, last.start + len(last.text))
    return replace(first, routes=tuple(routes))


def _with_span(text: str, route: Route, start: int, end: int) -> Route:
    return replace(route, text=text[start:end], start=start)
