"""What customers get: questions in their own words, answered by the whole pipeline, nobody signed in.

FLEET/customers/questions.jsonl    a question a line (`CustomerQuestion`), never for training or thresholds
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from slmfleet.models.contracts import Answer, Status
from slmfleet.models.errors import DataFault
from slmfleet.models.question import Query
from slmfleet.models.training.evaluate import Share
from slmfleet.services.evaluation.figures import Figure
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.settings import Settings

Outcome = Literal["served", "offered", "misled", "gave_up", "other"]
Kind = Literal["policy", "order", "two_asks", "follow_up", "social", "out_of_scope"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class CustomerQuestion(BaseModel):
    """A question and what is right for it.

    Any status of `status_any_of` is right, in any domain list of `domains_any_of` (empty: any domain).
    `accept` has every passage that answers it, as in the `ref` of evidence (`domain/passage`), `accept_each`
    one list for each of two asks. `must_say`: a pattern that an answer's text must contain. `no_evidence`:
    quoting a policy is wrong. `style`: `oblique` tells a situation, `ordinary` is what a desk hears daily.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Kind
    style: Literal["oblique", "ordinary"]
    channel: Literal["chat", "mail", "tweet", "ticket", "voice"]
    text: str
    history: list[str]
    domains_any_of: list[list[str]]
    status_any_of: list[Status]
    accept: list[str]
    accept_each: list[list[str]] = []
    must_say: str | None = None
    no_evidence: bool = False
    note: str = ""


class CustomerFigures(BaseModel):
    """What became of the questions of one style and kind (`all`: of every one)."""

    style: str
    kind: str
    served: Figure
    offered: Figure
    misled: Figure
    gave_up: Figure
    other: Figure
    #: Of the answers with status `answered`, those that mislead nobody.
    answered_right: Figure
    #: Of two asks, those of which both were answered from a right passage.
    both_answered: Figure


def load_questions(folder: Path) -> list[CustomerQuestion]:
    """The customers' questions of the fleet in `folder`, none where it has no such file. Raises DataFault."""
    path = folder / "customers" / "questions.jsonl"
    if not path.is_file():
        return []
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            questions.append(CustomerQuestion.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "line"
            raise DataFault(f"{path}:{number}: {field}: {first['msg']}") from None
    return questions


def outcome_of(question: CustomerQuestion, answer: Answer) -> Outcome:
    """What the customer got.

    served: a right status and domain and, where it is an answer, a passage that answers; offered: titles to
    choose from with a right one among them; misled: answered from something that does not answer; gave_up:
    sent to a person or refused although the shop knows; other: the rest (wrong titles, a sign-in that is not
    needed).
    """
    accept = set(question.accept)
    offered = {one.ref for part in answer.parts for one in part.evidence}
    quoted = _quoted(answer)
    if answer.status not in question.status_any_of:
        if answer.status == "answered":
            return "misled"
        if answer.status == "needs_input" and offered & accept:
            return "offered"
        return "gave_up" if answer.status in ("handed_off", "out_of_scope") else "other"
    if answer.status == "answered":
        if (question.no_evidence and quoted) or (accept and not quoted & accept):
            return "misled"
        if question.must_say and not re.search(question.must_say, answer.text):
            return "misled"
        return "served" if _in_right_domain(question, answer) else "other"
    if answer.status == "needs_input" and offered and question.no_evidence:
        return "other"
    if answer.status in ("needs_identity", "needs_input") and not _in_right_domain(question, answer):
        return "other"
    return "served"


def _quoted(answer: Answer) -> set[str]:
    """References of the evidence that the answered parts stand on."""
    return {one.ref for part in answer.parts if part.status == "answered" for one in part.evidence}


def _in_right_domain(question: CustomerQuestion, answer: Answer) -> bool:
    domains = {part.domain for part in answer.parts}
    if not question.domains_any_of or not domains:
        return True
    return any(domains & set(right) for right in question.domains_any_of)


def answers_both(question: CustomerQuestion, answer: Answer) -> bool:
    """Whether each of two asks was answered from a passage that answers it."""
    quoted = _quoted(answer)
    return all(not right or quoted & set(right) for right in question.accept_each)


def customer_figures(
    settings: Settings, questions: Sequence[CustomerQuestion], advance: Callable[[], None]
) -> list[CustomerFigures]:
    """Answer `questions` by the fleet of `settings`, with its demonstration records and nobody signed in.

    `advance` is called after each. Raises FleetFault, BundleFault, ModelBroken.
    """
    if not questions:
        return []
    with tempfile.TemporaryDirectory() as state, ThreadPoolExecutor(1) as executor:
        own = settings.model_copy(update={"state_dir": Path(state), "records_url": None})
        pipeline = load_pipeline(own, DefaultFactory(), executor).pipeline

        async def answer(question: CustomerQuestion) -> Answer:
            answer = await pipeline.answer(Query(text=question.text, history=question.history))
            advance()
            return answer

        async def answer_each() -> list[Answer]:
            return [await answer(question) for question in questions]

        answers = asyncio.run(answer_each())
    groups: dict[tuple[str, str], list[tuple[CustomerQuestion, Answer]]] = {}
    for pair in zip(questions, answers, strict=True):
        for kind in ("all", pair[0].kind):
            groups.setdefault((pair[0].style, kind), []).append(pair)
    return [_figures(style, kind, pairs) for (style, kind), pairs in groups.items()]


def _figures(style: str, kind: str, pairs: Sequence[tuple[CustomerQuestion, Answer]]) -> CustomerFigures:
    outcomes = [outcome_of(question, answer) for question, answer in pairs]
    shares = {name: Figure.of(Share(outcomes.count(name), len(pairs))) for name in OUTCOMES}
    answered = [got for got, (_, answer) in zip(outcomes, pairs, strict=True) if answer.status == "answered"]
    double = [pair for pair in pairs if pair[0].accept_each]
    return CustomerFigures(
        style=style,
        kind=kind,
        **shares,
        answered_right=Figure.of(Share(sum(got != "misled" for got in answered), len(answered))),
        both_answered=Figure.of(Share(sum(answers_both(*pair) for pair in double), len(double))),
    )
