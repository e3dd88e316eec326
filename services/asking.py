"""`slmfleet ask` and `explain`: the pipeline in this process, for the turns of one conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import ValidationError
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from slmfleet.models.errors import InvalidQuery
from slmfleet.models.fleet import Fleet
from slmfleet.models.specialist import Specialist
from slmfleet.router.classifier import Router
from slmfleet.services.fleet_loading import load_pipeline
from slmfleet.services.pipeline import Query
from slmfleet.services.schemas import AnswerBody, QueryBody
from slmfleet.services.settings import Settings
from slmfleet.services.shipped import ShippedParts


def load_models(fleet: Fleet) -> tuple[Router, dict[str, Specialist]]:
    """Router and specialists of a fleet, each having passed its probe. Raises BundleFault, ModelBroken."""
    specialists = {name: Specialist.load(domain) for name, domain in fleet.domains.items()}
    return Router.of(fleet), specialists


def answer_here(settings: Settings, text: str, token: str | None, explain: bool = False) -> AnswerBody:
    """The answer to `text`, asked by the customer of `token`. Raises as `converse_here` does."""
    return converse_here(settings, [text], token, explain)[0]


def converse_here(
    settings: Settings, texts: Sequence[str], token: str | None, explain: bool = False
) -> list[AnswerBody]:
    """The answers to `texts`, the turns of one conversation with the customer of `token`.

    They come with their explanations when asked for.

    Raises InvalidQuery, Unauthenticated, FleetFault, BundleFault, ModelBroken.
    """
    try:
        bodies = [QueryBody(text=text) for text in texts]
    except ValidationError as error:
        raise InvalidQuery(
            "text", f"text: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from None
    parts = ShippedParts()
    customer = parts.customer_of(settings)(token) if token else None
    session = "here" if len(bodies) > 1 else None
    with ThreadPoolExecutor(1) as executor:
        pipeline = load_pipeline(settings, parts, executor).pipeline
        queries = [Query(body.text, customer, session, explain=explain) for body in bodies]
        return asyncio.run(pipeline.answer_all(queries))


def printed(body: AnswerBody) -> Group:
    """The answer for a terminal: the words, what they stand on, where they came from, what they cost."""
    lines: list[Text | Padding] = [Text(body.text, style="bold"), Text("")]
    for part in body.parts:
        sure = f"{part.domain}.{part.intent}, confidence {part.confidence:.2f}"
        slots = ", ".join(f"{slot.name}={slot.value}" for slot in part.slots)
        lines.append(Text(f"{part.status}: {sure}{'; ' + slots if slots else ''}"))
        lines += [Padding(Text(f"{one.kind} {one.ref}", style="dim"), (0, 0, 0, 2)) for one in part.evidence]
    route = body.route
    if not body.parts:
        lines.append(Text(f"{body.status}"))
    lines.append(
        Text(
            f"router: {route.domain} {route.confidence:.2f} (threshold {route.threshold:.2f}; then "
            f"{route.runner_up.domain} {route.runner_up.confidence:.2f})",
            style="dim",
        )
    )
    cost = body.cost
    lines.append(
        Text(
            f"{cost.latency_ms:.1f} ms, {cost.cpu_ms:.1f} ms of CPU, {cost.energy_mj:.0f} mJ "
            f"({cost.energy_source})",
            style="dim",
        )
    )
    return Group(*lines)
