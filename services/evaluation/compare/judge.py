"""Whether an answer is right and stands on its evidence: plain rules, the same for whoever answers.

They look at words and numbers, not at meaning:

* refused: it says that it cannot help, in one of the usual phrases.
* right: it carries a sentence of the right passage, that is every number of the sentence, and half of its key
  terms weighed by how rare they are in the shop's knowledge. What the question says itself does not count.
* grounded: each of its numbers stands in the evidence or in the question, and so does half of the key terms
  of each of its sentences.

A bare "yes" carries no facts and is not right; "thirty" is no number; an answer that says the opposite in the
same words passes; another passage that says the same counts, one that merely resembles it may
(`Judge.lenience` measures how often).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.inference.retrieval import words
from slmfleet.models.text.grounding import numbers

#: Of a sentence's key terms, the share that must be there.
ENOUGH = 0.5
#: A sentence of fewer facts than this, beyond what the question says, tells nothing by itself.
MIN_FACTS = 3
#: Words are compared by their beginning, so that "delivered" meets "delivery".
_STEM = 5
#: Words of an answer that say nothing of the matter.
_COURTESY = frozenset(["course", "dear", "hello", "hi", "no", "not", "sorry", "sure", "thank", "yes"])

_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
_LIST_MARK = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+", re.MULTILINE)
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_CANNOT = r"(?:can ?not|can['’]?t|could ?n['’]?t|(?:am|['’]m|are|['’]re) (?:unable|not able) to)"
_REFUSALS = (
    rf"\b(?:i|we)\b[^.!?]{{0,20}}? ?{_CANNOT}[^.!?]{{0,12}}? (?:help|assist|answer|respond|do that)\b",
    r"\b(?:do|does|did) ?n[o'’]t (?:\w+ ){0,2}?(?:have|contain|provide|mention|answer)"
    r" (?:\w+ ){0,3}?(?:information|details?|answers?|questions?|access)\b",
    r"\bnot (?:covered|mentioned|specified|addressed|provided|stated) (?:in|by) (?:the|our|this) "
    r"(?:\w+ )?policy\b",
    r"\b(?:outside|beyond) (?:of )?(?:the|my|our) (?:scope|area)\b",
    r"\bi (?:do not|don['’]t) know\b",
)
_REFUSAL = re.compile("|".join(_REFUSALS), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer is worth. `invented` are its numbers that stand on nothing."""

    refused: bool
    right: bool
    grounded: bool
    invented: tuple[str, ...] = ()


class Judge:
    """Judges answers by the knowledge of one shop."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        terms = [_terms(f"{passage.title}. {passage.text}") for passage in passages]
        self._count = len(terms)
        self._passages_with = Counter(term for one in terms for term in one)

    def verdict(self, question: str, answer: str, right: Passage | None, evidence: Sequence[str]) -> Verdict:
        """Judge `answer`, which had `evidence` to stand on. `right` is None where nothing answers."""
        shown = visible(answer)
        if not shown or _REFUSAL.search(shown):
            return Verdict(refused=True, right=False, grounded=True)
        known = numbers(question).union(*map(numbers, evidence))
        invented = tuple(sorted(numbers(shown) - known))
        return Verdict(
            refused=False,
            right=right is not None and self.carries(question, shown, right),
            grounded=not invented and self._is_grounded(shown, [question, *evidence]),
            invented=invented,
        )

    def carries(self, question: str, answer: str, passage: Passage) -> bool:
        """Whether `answer` states a sentence of `passage`."""
        terms, found = _terms(answer), numbers(answer)
        return any(
            figures <= found and self._weight(key & terms) >= ENOUGH * self._weight(key)
            for key, figures in _facts(question, passage)
        )

    def lenience(self, question: str, right: Passage, others: Sequence[Passage]) -> float:
        """The share of `others` that would pass for the right passage; nan of none."""
        if not others:
            return math.nan
        return sum(self.carries(question, other.text, right) for other in others) / len(others)

    def _is_grounded(self, answer: str, evidence: Sequence[str]) -> bool:
        known = set().union(*map(_terms, evidence))
        return all(
            self._weight(terms & known) >= ENOUGH * self._weight(terms)
            for terms in map(_terms, _SENTENCE.split(answer))
        )

    def _weight(self, terms: set[str]) -> float:
        return sum(math.log(1 + self._count / max(1, self._passages_with[term])) for term in terms)


def visible(answer: str) -> str:
    """What a customer would be shown: without the thoughts of a reasoning model and the marks of a list."""
    return _LIST_MARK.sub("", _THOUGHT.sub("", answer)).strip()


def _terms(text: str) -> set[str]:
    return {word[:_STEM] for word in words(text) - _COURTESY if not word.isdigit()}


def _facts(question: str, passage: Passage) -> list[tuple[set[str], set[str]]]:
    """Key terms and numbers of each telling sentence of `passage`, without those of `question`."""
    in_question, figures = _terms(question), numbers(question)
    sentences = [
        (_terms(sentence) - in_question, numbers(sentence) - figures)
        for sentence in _SENTENCE.split(passage.text)
    ]
    telling = [one for one in sentences if len(one[0]) + len(one[1]) >= MIN_FACTS]
    return telling or [(_terms(passage.text) - in_question, numbers(passage.text) - figures)]
