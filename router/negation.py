"""Retracted requests: "don't cancel it, just change the address".

Most negations report trouble ("my order didn't arrive", "I can't log in"). One retracts a request only where
it negates an action that the shop could have carried out, and another request stands beside it.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from slmfleet.router.cues import opens_request, requests, words
from slmfleet.router.split import Span

_ACTION = (
    r"(?:return|refund|cancel|exchange|replace|change|ship|send|re-?send|re-?ship|order|re-?order|swap|modify|"
    r"switch|update|edit|delete|close|deliver|buy|reimburse|remove|add)"
)
_ACTING = (
    r"(?:returning|refunding|cancell?ing|exchanging|replacing|changing|shipping|sending|ordering|swapping|"
    r"modifying|switching|updating|deleting|closing|delivering|buying|getting\s+(?:a|my|the)\s+\w+|removing)"
)
_DEED = (
    r"(?:refund|return|replacement|exchange|cancell?ation|reship(?:ment)?|new\s+one|store\s+credit|voucher|"
    r"gift\s+card)"
)
_LEAD = r"(?:(?:please|pls|and|but|so|well|oh|no|hi|hello|hey|actually|sorry|also)\b[\s,]*)*"
_NOT = r"(?:do\s+not|don['’]?t|do\s+n['’]?t)"
_RETRACTION: Final = re.compile(
    rf"{_LEAD}(?:"
    rf"{_NOT}\s+(?:want\s+you\s+to\s+|need\s+to\s+|you\s+dare\s+)?{_ACTION}\b"
    rf"|(?:i|we)\s+(?:{_NOT}|no\s+longer)\s+(?:really\s+|actually\s+)?(?:want|need|wish|wanna|like)\s*"
    rf"(?:you\s+)?(?:to\s+)?{_ACTION}\b(?!\s+(?:one|any))"
    rf"|(?:i|we)\s+(?:{_NOT}|no\s+longer)\s+(?:want|need)\s+(?:an?|the|any|my)\s+{_DEED}\b"
    rf"|(?:there\s+is\s+|there['’]?s\s+)?no\s+need\s+(?:to|for)\b"
    rf"|instead\s+of\s+(?:{_ACTING}|(?:an?|the|my)\s+{_DEED})\b"
    rf"|rather\s+than\s+(?:{_ACTING}|{_ACTION}|(?:an?|the|my)\s+{_DEED})\b"
    rf"|not\s+(?:to\s+)?(?:{_ACTION}|{_ACTING}|(?:an?|the|my|for\s+an?)\s+{_DEED})\b"
    rf"|(?:never\s*mind|forget)\s+(?:about\s+)?(?:the|my|that|it|{_ACTING})\b"
    r")",
    re.IGNORECASE,
)
#: "can I get store credit instead of a refund": after the request it is a part of it.
_CONTRAST: Final = re.compile(rf"(?:instead\s+of|rather\s+than)\s+(?:an?|the|my)\s+{_DEED}\b", re.IGNORECASE)
#: "not the shoes": a retracted thing. "not the right size" is a complaint.
_NOT_THAT: Final = re.compile(
    r"not\s+(?:the|that|this|those|these)\s+\w[\w-]*(?:\s+\w[\w-]*)?\s*", re.IGNORECASE
)
_COMPLAINT: Final = re.compile(
    r"\b(?:right|correct|same|one|ones|size|sizes|colou?r|i|we|you|best|only|first|time|case|point|problem|way)\b",
    re.IGNORECASE,
)
#: "actually no, change it": retracts every request before it.
_CORRECTION: Final = re.compile(
    r"(?:actually,?\s+no|no,?\s+wait|wait,?\s+no|oh\s+no,?\s+wait|scratch\s+that|no,?\s+sorry|sorry,?\s+no|"
    r"(?:sorry,?\s+)?i\s+meant?\s+to\s+say|(?:sorry,?\s+)?i\s+meant)\b[\s,:]*",
    re.IGNORECASE,
)
#: Where a retraction can end, or begin.
_TURN: Final = re.compile(
    r"[.?!;…]+(?:\s+|$)|\s*\n\s*|,\s*|\s+[–—-]+\s+|\s+(?=(?:but|just|instead\s+of|rather\s+than)\b)",
    re.IGNORECASE,
)
#: "instead of cancelling can I ...": the request that follows without a comma.
_RESUMES: Final = re.compile(
    r"\s(?=(?:can|could|would|will|may|should|is|do|does)\s+(?:i|you|we|it|there)\b|(?:i|we)\s+(?:want|need|would)|"
    r"i['’]d\b|please\b|how\b|just\b)",
    re.IGNORECASE,
)


def retracted(text: str) -> tuple[Span, ...]:
    """Spans of `text` that retract a request, in order; none unless another request stands beside them."""
    pieces = _pieces(text)
    gone: list[int] = []
    for index, (start, end) in enumerate(pieces):
        piece = text[start:end]
        denied = _RETRACTION.match(piece) and "?" not in piece and not (index and _CONTRAST.match(piece))
        if denied or _is_other_thing(text, pieces, index):
            gone.append(index)
        elif match := _CORRECTION.match(piece):
            corrected = text[start + match.end() : end]
            following = text[slice(*pieces[index + 1])] if index + 1 < len(pieces) else ""
            # "I meant the shoes" corrects one word of the request, not the request.
            if opens_request(corrected if words(corrected) else following):
                gone += [before for before in range(index) if before not in gone]
                gone += [] if words(corrected) else [index]
    left = [index for index in range(len(pieces)) if index not in gone]
    if not gone or not any(_stands(text, pieces, index) for index in left):
        return ()
    return tuple(pieces[index] for index in sorted(gone))


def _pieces(text: str) -> list[Span]:
    cuts = [0, *(match.end() for match in _TURN.finditer(text)), len(text)]
    pieces: list[Span] = []
    for start, end in pairwise(cuts):
        piece = text[start:end]
        opening = re.match(rf"{_LEAD}(?:instead\s+of|rather\s+than)\b", piece, re.IGNORECASE)
        resumes = _RESUMES.search(piece, opening.end()) if opening else None
        if resumes:
            pieces += [(start, start + resumes.end()), (start + resumes.end(), end)]
        elif start < end:
            pieces.append((start, end))
    return pieces


def _is_other_thing(text: str, pieces: list[Span], index: int) -> bool:
    """Whether the piece is "not the shoes", beside another thing ("the hat") or a request."""
    start, end = pieces[index]
    match = _NOT_THAT.match(text, start, end)
    if match is None or words(text[match.end() : end]) or _COMPLAINT.search(text, start, match.end()):
        return False
    following = text[slice(*pieces[index + 1])] if index + 1 < len(pieces) else ""
    another_thing = re.match(r"(?:but\s+)?(?:the|that|this|those|these|my)\s", following, re.IGNORECASE)
    return another_thing is not None or any(requests(text[slice(*piece)]) for piece in pieces[:index])


def _stands(text: str, pieces: list[Span], index: int) -> bool:
    """Whether this remaining piece is a request, or the thing named instead of the retracted one."""
    piece = text[slice(*pieces[index])]
    if requests(piece) or opens_request(re.sub(r"^(?:but|just|only|instead)\s+", "", piece, flags=re.I)):
        return True
    before = text[slice(*pieces[index - 1])] if index else ""
    return bool(words(piece)) and _NOT_THAT.match(before) is not None
