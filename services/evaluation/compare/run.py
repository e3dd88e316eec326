"""`slmfleet compare`: the fleet and a baseline answer the same questions by turns, in this process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

from slmfleet.models.contracts import OUT_OF_SCOPE
from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.progress import Progress
from slmfleet.models.training.data import Corpus
from slmfleet.services.evaluation.compare.baseline import Baseline
from slmfleet.services.evaluation.compare.judge import Judge
from slmfleet.services.evaluation.compare.options import CompareOptions
from slmfleet.services.evaluation.compare.report import Comparison, QuestionResult, comparison
from slmfleet.services.evaluation.compare.systems import BaselineSystem, FleetSystem, Question
from slmfleet.services.evaluation.corpus import load_rows
from slmfleet.services.pipeline.assembly import FleetFactory
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.settings import Settings

#: Of the questions, the share that the shop has a passage for; the others are out of its scope.
IN_DOMAIN_SHARE: Final = 0.75
#: A greeting or a lone word asks nothing that could be refused.
MIN_WORDS: Final = 4


def sample_questions(fleet: Fleet, corpus: Corpus, count: int, seed: int) -> list[Question]:
    """`count` of the shop's own test rows, the same for the same `seed`; fewer where the shop has fewer.

    Three in four have a known passage, the others are out of scope and of four words or more.
    Raises DataFault where the shop has none of either kind.
    """
    own = [row for row in corpus.test if row.source == "own"]
    known = [
        Question(row.text, row.domain, fleet.domains[row.domain].passage_by_id[row.passage])
        for row in own
        if row.domain in fleet.domains and row.passage is not None
    ]
    beyond = [
        Question(row.text) for row in own if row.domain == OUT_OF_SCOPE and len(row.text.split()) >= MIN_WORDS
    ]
    if not known or not beyond:
        raise DataFault(
            f"{fleet.folder}: a comparison needs rows with a passage in DOMAIN/test.jsonl, and rows out of "
            f"scope of {MIN_WORDS} words or more in router/test.jsonl"
        )
    dice = random.Random(seed)  # noqa: S311 - a seeded sample, not a secret
    inside = round(count * IN_DOMAIN_SHARE)
    chosen = [
        *dice.sample(known, min(inside, len(known))),
        *dice.sample(beyond, min(count - inside, len(beyond))),
    ]
    dice.shuffle(chosen)
    return chosen


def compare(
    settings: Settings,
    open_baseline: Callable[[], Baseline],
    options: CompareOptions,
    *,
    progress: Progress = lambda done, total: None,
    factory: FleetFactory | None = None,
) -> Comparison:
    """Ask both sides the same questions and measure their answers. Which side goes first alternates.

    The baseline's prompt has three passages of the question's domain (of any domain where the question is out
    of scope); retrieving them is not counted as its cost.
    Raises DataFault, BaselineFault, FleetFault, BundleFault, ModelBroken.
    """
    with ThreadPoolExecutor(1) as executor, asyncio.Runner() as runner:
        # The fleet is loaded before anything else is, so that no memory that was freed hides its own.
        ours = FleetSystem(settings, factory or DefaultFactory(), runner, executor)
        questions = sample_questions(ours.fleet, load_rows(ours.fleet), options.questions, options.seed)
        given = [ours.knowledge(question, options.right_passage) for question in questions]
        with closing(BaselineSystem(open_baseline, ours.fleet, options.max_tokens)) as theirs:
            results = _ask_both(ours, theirs, questions, given, progress)
    return comparison(
        results,
        options,
        fleet=ours.sizes,
        baseline=theirs.sizes,
        lenience=_lenience(ours.fleet, questions),
        core_watts=settings.core_watts,
    )


def _ask_both(
    ours: FleetSystem,
    theirs: BaselineSystem,
    questions: Sequence[Question],
    given: Sequence[Sequence[Passage]],
    progress: Progress,
) -> list[QuestionResult]:
    results = []
    for number, (question, passages) in enumerate(zip(questions, given, strict=True)):
        if number % 2:
            of_baseline, of_fleet = theirs.ask(question, passages), ours.ask(question)
        else:
            of_fleet, of_baseline = ours.ask(question), theirs.ask(question, passages)
        results.append(
            QuestionResult(
                question=question.text,
                domain=question.domain,
                passage=question.right.id if question.right else None,
                given=[passage.id for passage in passages],
                fleet=of_fleet,
                baseline=of_baseline,
            )
        )
        progress(number + 1, len(questions))
    return results


def _lenience(fleet: Fleet, questions: Sequence[Question]) -> float:
    """How often another passage of the same domain would pass for the right one, in percent."""
    judge = Judge(passage for domain in fleet.domains.values() for passage in domain.passages)
    shares = []
    for question in questions:
        if question.domain is not None and question.right is not None:
            others = [one for one in fleet.domains[question.domain].passages if one != question.right]
            if others:
                shares.append(judge.lenience(question.text, question.right, others))
    return 100 * sum(shares) / len(shares) if shares else 0.0
