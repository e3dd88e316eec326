"""Splitting a text of several requests: offsets at which another request may begin, and the clauses.

The rule here knows sentence ends and connectors. It rather leaves two requests together than cuts one in
two: a clause with too few words cannot be routed. Offsets from elsewhere (a learned tagger) can be passed to
`clauses` with or instead of the rule's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from slmfleet.router.cues import (
    asks,
    is_appeal,
    is_courtesy,
    is_statement,
    is_subordinate,
    opens_question,
    opens_request,
    points_back,
    requests,
    words,
)

#: Further requests of one text stay with the last clause.
MAX_CLAUSES: Final = 4

#: (start, end) in characters.
Span = tuple[int, int]

_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(])(?:no|nr|num|mr|mrs|ms|dr|st|vs|etc|approx|inc|ltd|e\.g|i\.e|u\.s|a\.m|p\.m)\.$",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"[.?!;…]+[\"')\]]*(?=\s)|[?!;]+(?=\w)|\s*\n\s*")
_CONNECTOR: Final = re.compile(
    r"[,\s–—-]*\b(?P<word>oh\s+and|and\s+also|and\s+then|and|as\s+well\s+as|also|then|plus|but|besides|"
    r"by\s+the\s+way|btw|(?:one\s+more|another)\s+thing|&)(?=[\s,:])[,:]?\s*"
    r"|(?P<comma>\s*,\s+|\s+[–—-]+\s+)",
    re.IGNORECASE,
)
#: Connectors after which a mere statement of trouble is another request: "also my card was charged twice".
_ADDS: Final = re.compile(r"also|plus|besides|by\s+the\s+way|btw|thing", re.IGNORECASE)
#: Words a request cannot end with: what follows still belongs to it.
_OPEN_ENDED_WORDS = (
    "the a an my your our their his her to for of in on at with from by or when where how what which who why "
    "is are was be it's i you both between either not very more"
)
_OPEN_ENDED: Final = frozenset(_OPEN_ENDED_WORDS.split())
_EDGE: Final = (
    r"[\s,;:–—-]*(?:(?:and|also|then|plus|but|so|oh|btw|as\s+well\s+as|by\s+the\s+way|&)\b[\s,:]*)*"
)
_LEADING: Final = re.compile(rf"{_EDGE}[\s,;:.!?…)–—-]*", re.IGNORECASE)
_TRAILING: Final = re.compile(
    r"(?:[\s,;:(–—-]|(?<=\s)(?:and|also|then|plus|but|so|oh|&|as\s+well\s+as|by\s+the\s+way|btw)(?=[\s,:]*$))+$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a text with one request: `text` is the whole text's `[start:end]`."""

    text: str
    start: int
    end: int


def boundaries(text: str) -> tuple[int, ...]:
    """Offsets in `text` at which, by rule, another request begins.

    After a sentence's end both sides must ask for something of their own, so that a greeting, "I ordered
    shoes last week." or "Can you help me?" costs no reading. After a connector both sides must have two
    words, the right one must open as a request does, and the left one must not be half a sentence; after a
    comma alone both must be requests in so many words.
    """
    ends = [match.span() for match in _SENTENCE_END.finditer(text) if not _abbreviated(text, match.end())]
    stops = [*(stop for stop, _ in ends), len(text)]
    found: list[int] = []
    begin = sentence = 0  # where the request, and the sentence, that is being read began
    for index, stop in enumerate(stops):
        for match in _CONNECTOR.finditer(text, sentence, stop):
            left, right = text[max(begin, sentence) : match.start()], text[match.end() : stop]
            if _connects(match, left, right):
                begin = match.end()
                found.append(begin)
        if index < len(ends):
            sentence = ends[index][1]
            if _follows(text[begin:stop], text[sentence : stops[index + 1]]):
                begin = sentence
                found.append(begin)
    return tuple(found)


def _abbreviated(text: str, end: int) -> bool:
    return _ABBREVIATION.search(text, max(0, end - 8), end) is not None


def _follows(before: str, sentence: str) -> bool:
    """Whether `sentence` requests something else than the text before it."""
    if not asks(before):
        return False
    if _ADDS.match(sentence.lstrip().removeprefix("and ").removeprefix("And ")):
        return asks(sentence)
    # A report of trouble and a question about it are one request.
    return requests(sentence) and (requests(before) or not points_back(sentence))


def _connects(match: re.Match[str], left: str, right: str) -> bool:
    left_words = words(left)
    if len(left_words) < 2 or len(words(right)) < 2 or left_words[-1].lower() in _OPEN_ENDED:
        return False
    if (
        is_subordinate(left)
        or is_subordinate(right)
        or is_statement(left)
        or is_courtesy(left)
        or is_appeal(right)
    ):
        return False
    word = (match["word"] or "").lower()
    if not word or word == "but":
        return requests(left) and opens_request(right)
    if _ADDS.search(word):
        return asks(right)
    # "Order status and cancel it": an order to us after "and" stands by itself after another request only.
    return opens_question(right) or (opens_request(right) and requests(left))


def clauses(text: str, offsets: Iterable[int], without: Sequence[Span] = ()) -> tuple[Clause, ...]:
    """The clauses of `text` between `offsets`, in order, less the spans `without`.

    Connectors and punctuation at a clause's edges are cut off; a clause of courtesies or appeals alone is
    joined to what follows it, or else to what stands before. Past MAX_CLAUSES the rest
    stays with the last one. Without any cut it is the whole text as it is. There is always one at least.
    """
    edges = {edge for span in without for edge in span}
    cuts = sorted({0, len(text), *(cut for cut in {*offsets, *edges} if 0 < cut < len(text))})
    if len(cuts) == 2:
        return (Clause(text, 0, len(text)),)
    pieces = [
        piece
        for start, end in pairwise(cuts)
        if not any(low <= start and end <= high for low, high in without)
        and words((piece := _trimmed(text, start, end)).text)
    ]
    if not pieces:
        return (Clause(text, 0, len(text)),)
    joined = _without_courtesies(text, pieces, without)
    if len(joined) > MAX_CLAUSES:
        start, end = joined[MAX_CLAUSES - 1].start, joined[-1].end
        joined = [*joined[: MAX_CLAUSES - 1], Clause(text[start:end], start, end)]
    if len(joined) == 1 and not without:
        return (Clause(text, 0, len(text)),)
    return tuple(joined)


def _trimmed(text: str, start: int, end: int) -> Clause:
    start = min(end, (match.end() if (match := _LEADING.match(text, start, end)) else start))
    while (match := _TRAILING.search(text, start, end)) and match.start() < end:
        end = match.start()
    return Clause(text[start:end], start, end)


def _without_courtesies(text: str, pieces: Sequence[Clause], without: Sequence[Span]) -> list[Clause]:
    """`pieces` with greetings and thanks made part of a neighbour, or left out beside a gap."""
    joined: list[Clause] = []
    waiting: int | None = None
    for piece in pieces:
        if is_courtesy(piece.text) or is_appeal(piece.text):
            if joined and not _gap(joined[-1].end, piece.start, without):
                joined[-1] = Clause(text[joined[-1].start : piece.end], joined[-1].start, piece.end)
            elif not joined and waiting is None:
                waiting = piece.start
            continue
        start = piece.start
        if waiting is not None and not _gap(waiting, piece.start, without):
            start = waiting
        waiting = None
        joined.append(Clause(text[start : piece.end], start, piece.end))
    return joined or list(pieces)


def _gap(start: int, end: int, without: Sequence[Span]) -> bool:
    return any(start <= low and high <= end for low, high in without)
