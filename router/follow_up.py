"""Questions that need the one before them: "what about shoes?", "how long does it take?", "#W7678072"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from slmfleet.models.inference.retrieval import words as content_words
from slmfleet.models.text.slots import exact_slots
from slmfleet.router.cues import is_courtesy, opens_request, points_back, words
from slmfleet.router.negation import retracted
from slmfleet.router.split import Clause, boundaries, clauses

#: A question of more words can be read alone.
LONGEST_FOLLOW_UP: Final = 8
_LONGEST_FRAGMENT: Final = 4
#: Maximum length of the earlier request that is put before a follow-up: the encoder reads 64 word pieces.
MAX_ANCHOR_CHARACTERS: Final = 160

_LEANS: Final = re.compile(
    r"(?:(?:and|but|ok|okay|so|oh|hm+|well)\b[\s,]*)*"
    r"(?:what\s+about|how\s+about|(?:the\s+)?same\s+(?:for|with|question)|what\s+if\b|(?:and|but)\s+if\b"
    r"|why(?:\s+(?:not|so|is\s+(?:that|it|this)))?\W*$"
    r"|(?:how\s+(?:long|much|many|soon|fast|come|so)|when|where|who|which(?:\s+one)?|since\s+when|until\s+when)"
    r"(?:\s+(?:does|do|will|would|is|was|can|did)\s+(?:it|that|this|they|i|you)"
    r"(?:\s+(?:take|be|cost|arrive|come|happen|last|do\s+(?:it|that|this)))?)?\W*$"
    r"|(?:this|that|the\s+(?:first|second|third|last|latest|other|newest|older))\s*(?:one)?\W*$)"
    r"|(?:and|but)\s+(?:for|in|to|with|on|from|by|the|an?|my|those|these|this|that)\b",
    re.IGNORECASE,
)
_POINTS_AT_ORDER: Final = re.compile(
    r"\b(?:my|the|this|that|same)\s+(?:orders?|package|parcel|delivery|shipment|purchase|refund|return|invoice|"
    r"items?|products?)\b",
    re.IGNORECASE,
)
_ORDINALS: Final = {
    name: place
    for place, names in enumerate(("1 1st first", "2 2nd two second", "3 3rd three third"))
    for name in names.split()
}
_CHOOSING_WORDS = (
    "the a one number no nr option choice i mean meant want i'd like it's it is that please yes ok okay about"
)
_CHOOSING: Final = frozenset(_CHOOSING_WORDS.split())
_FILLING_WORDS = (
    "it it's its is the a my this that order number no nr id invoice for here hi hello please thanks thank "
    "you sorry ok okay sure yes of course i mean meant one with email e-mail mail and have"
)
_FILLING: Final = frozenset(_FILLING_WORDS.split())


def bare_reference(text: str) -> bool:
    """Whether `text` only names an order, invoice or e-mail, as in answer to "which order?"."""
    named = [slot for slot in exact_slots(text, {}) if slot.name in ("order_id", "invoice_id", "email")]
    if not named:
        # A bare number has no grammar of its own; as an answer it is the reference that was asked for.
        return re.fullmatch(r"\W*[A-Za-z]{0,3}\d{4,15}\W*", text) is not None
    rest = text
    for slot in reversed(named):
        rest = rest[: slot.start] + " " + rest[slot.end :]
    return all(word.lower().replace("’", "'").strip("#") in {*_FILLING, ""} for word in words(rest))


def choice(text: str, titles: Sequence[str]) -> int | None:
    """The place in `titles` of the one that `text` chooses by its number, or by words that no other has.

    None where it chooses none of them, or more than one.
    """
    written = [word.lower().replace("’", "'").strip("#.") for word in words(text)]
    rest = [word for word in written if word not in _CHOOSING]
    if not rest and re.search(r"(?:^|\b(?:number|option|choice) )one\b", " ".join(written)):
        rest = ["first"]
    if len(rest) == 1 and rest[0] in (*_ORDINALS, "last"):
        place = _ORDINALS.get(rest[0], len(titles) - 1)
        return place if 0 <= place < len(titles) else None
    chosen = content_words(" ".join(rest))
    found = [place for place, title in enumerate(titles) if chosen and chosen <= content_words(title)]
    return found[0] if len(found) == 1 else None


def points_at(text: str) -> bool:
    """Whether `text` points at a thing named before: "can I cancel it?", "where is my order?"."""
    return points_back(text) or _POINTS_AT_ORDER.search(text) is not None


def depends_on_context(text: str) -> bool:
    """Whether the form of `text` shows that it continues the question before, however sure its route."""
    if len(words(text)) > LONGEST_FOLLOW_UP or is_courtesy(text):
        return False
    return bare_reference(text) or _LEANS.match(text.strip()) is not None


def is_elliptical(text: str) -> bool:
    """Whether `text` may be unreadable without the question before it.

    Used only where the route of the text is unsure.
    """
    written = words(text)
    if not written or len(written) > LONGEST_FOLLOW_UP or is_courtesy(text):
        return False
    return (
        depends_on_context(text)
        or points_at(text)
        or (len(written) <= _LONGEST_FRAGMENT and not opens_request(text))
    )


def anchor(text: str) -> str:
    """The part of an utterance that a follow-up refers to: its last request, cut to MAX_ANCHOR_CHARACTERS."""
    last = clauses(text, boundaries(text), retracted(text))[-1].text.strip()
    if len(last) <= MAX_ANCHOR_CHARACTERS:
        return last
    cut = last[-MAX_ANCHOR_CHARACTERS:]
    return cut.partition(" ")[2].strip() or cut


def contextual(text: str, history: Sequence[str]) -> Clause | None:
    """`text` behind the last utterance of `history` (oldest first) that can be read by itself.

    The clause's `start` is negative, as offsets count from `text`:
    `clause.text[-clause.start:] == text`. None when there is no such utterance.
    """
    for before in reversed(history):
        if depends_on_context(before) or is_courtesy(before):
            continue
        carried = anchor(before)
        return Clause(f"{carried} {text}", -len(carried) - 1, len(text))
    return None
