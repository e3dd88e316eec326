"""Surface cues of a clause, before any model reads it: is it a request, a statement, or only a greeting?

English, by pattern: cheap enough to run on every text. What is requested is decided by a model, never here.
"""

from __future__ import annotations

import re
from typing import Final

WORD: Final = re.compile(r"[\w'’#$&/.-]*\w")

_COURTESY_WORDS = (
    "hi hello hey hiya howdy dear good morning afternoon evening day greetings there team sir madam ma'am "
    "all everyone guys thanks thank you thx ty cheers much many so very a lot in advance please pls plz "
    "kindly ok okay k sure fine great cool perfect alright right yes yeah yep no nope bye goodbye sorry "
    "welcome regards best"
)
_COURTESY: Final = frozenset(_COURTESY_WORDS.split())
_LEAD = (
    r"(?:(?:please|pls|plz|kindly|also|and|then|so|now|just|oh|hi|hello|hey|well|ok|okay|actually|sorry|"
    r"instead|rather|again|still)\b[\s,]*)*"
)
_WHO = r"(?:i|you|u|we|it|that|this|there|they|he|she|my|the|your|these|those|any|anyone|someone)"
_AUXILIARY = (
    r"(?:can|could|would|will|do|does|did|is|are|was|were|am|has|have|had|may|should|shall|must|won['’]?t|"
    r"can['’]?t|don['’]?t|doesn['’]?t|didn['’]?t|isn['’]?t|aren['’]?t|wouldn['’]?t|couldn['’]?t)"
)
_WISH = (
    r"(?:i|we)\s*(?:['’]d|['’]?ll|would)?\s*(?:really|also|still|just|now|only)?\s*"
    r"(?:want|need|wanna|gotta|(?:am|are)\s+(?:trying|looking)|like|love|prefer|wish|hope|expect|"
    r"have\s+to|must|demand|require)\b"
    r"|(?:i|we)['’]?(?:m|re)\s+(?:trying|looking)\b"
    r"|looking\s+(?:to|for)\b|let\s+me\b|let['’]?s\b"
)
_QUESTION = (
    r"(?:what|where|when|why|who|whom|whose|which|how|what['’]s|whats|where['’]s|wheres|when['’]s|how['’]s|"
    r"who['’]s)\b"
)
#: Verbs that are hardly ever anything else at the start of a clause.
_ORDERED = (
    r"(?:cancel|send|tell|give|show|delete|remove|reset|unsubscribe|add|explain|connect|transfer|update|"
    r"replace|resend|reship|redirect|stop|find|get|make|put|speak|talk|call|e-?mail|contact|notify|reimburse|"
    r"apply|switch|swap|edit|modify|correct|fix|close|reactivate|re-?send|track)"
)
#: Verbs that are as often nouns ("return policy"): they order something only with an object after them.
_EITHER = r"(?:return|refund|exchange|order|change|ship|deliver|charge|check|help|buy|pay|use|keep|hold|move)"
_OBJECT = (
    r"(?:it|them|me|us|my|the|this|that|these|those|both|all|one|an?|your|everything|to\b|for\b|"
    r"order\b|address\b|size\b|colou?r\b|#\S+)"
)
_WONDERS: Final = re.compile(
    rf"{_LEAD}(?:{_QUESTION}|{_AUXILIARY}\s+{_WHO}\b|{_WISH}|any\s+(?:way|chance|news|update)\b|is\s+\w|are\s+\w)",
    re.IGNORECASE,
)
_ORDERS: Final = re.compile(rf"{_LEAD}(?:{_ORDERED}\s+\S|(?!order\s+#){_EITHER}\s+{_OBJECT})", re.IGNORECASE)
_THAT = r"(?:\s+(?:with|about)?\s*(?:it|that|this|so|one|me|us|them))?"
#: Urges an earlier request: "can you help me?", "tell me how to do it", "what should I do?".
_APPEAL: Final = re.compile(
    rf"{_LEAD}(?:"
    rf"(?:can|could|would|will)\s+(?:you|u|someone|somebody|anyone)\s+(?:please\s+)?(?:help|assist|advise|explain|"
    rf"fix|sort|solve|figure|do|look\s+into|check)(?:\s+me)?(?:\s+out)?{_THAT}(?:\s+out)?"
    rf"|(?:please\s+)?(?:help|assist|advise|fix|sort)(?:\s+me)?(?:\s+out)?{_THAT}"
    rf"|what\s+(?:can|should|do|must|shall|would|could)\s+i\s+(?:(?:have|need)\s+to\s+)?do"
    rf"(?:\s+(?:now|next|about\s+\w+|to\s+\w+\s+(?:it|one|that|this)))?"
    rf"|(?:(?:tell|show)\s+me|let\s+me\s+know|i\s+(?:don['’]?t|do\s+not)\s+know|i\s+have\s+no\s+idea)?\s*"
    rf"(?:how|what|where|why)\s*(?:(?:can|could|do|should|would)?\s*i?\s*(?:can|could|should)?\s*(?:have\s+|need\s+)?"
    rf"(?:to\s+)?(?:do|get|obtain|make|solve|fix))?{_THAT}"
    rf"|(?:can|could|may)\s+i\s+(?:get|have|ask\s+for)\s+(?:some\s+|any\s+|your\s+)?(?:help|assistance|support)"
    rf"|i\s+(?:would\s+|really\s+)?(?:need|want|like)\s+(?:some\s+|your\s+)?"
    rf"(?:help|assistance|support|information|advice)(?:\s+(?:with|on|about)\s+(?:it|that|this))?"
    rf"|(?:is|was)\s+(?:it|that|this)\s+(?:possible|ok|okay|allowed|right|normal|true|correct)"
    rf"|(?:why|how)\s+(?:did|does|is|has|could)\s+(?:this|that|it)\s+(?:happen|happened|happening|be|so)"
    rf"|how\s+(?:do|can|would|should)\s+i\s+go\s+about{_THAT}"
    rf"|what(?:['’]s|\s+is|\s+was)?\s+(?:now|next|wrong|happened|happening|going\s+on)(?:\s+here)?"
    rf"|(?:any|some)\s+(?:help|idea|ideas|advice)"
    rf")(?:\s+(?:please|pls|plz|thanks|asap|here|now))*[\s,.?!;:]*$",
    re.IGNORECASE,
)
_WISHES: Final = re.compile(rf"\b(?:{_WISH})", re.IGNORECASE)
_TROUBLE: Final = re.compile(
    r"\b(?:never|not|no\s+longer|hasn['’]?t|haven['’]?t|didn['’]?t|doesn['’]?t|isn['’]?t|wasn['’]?t|"
    r"can['’]?t|cannot|couldn['’]?t|won['’]?t|late|delayed|broken|broke|damaged|defective|faulty|missing|"
    r"lost|forgot|forgotten|unable|stolen|wrong|incorrect|twice|locked|failed|fails|declined|rejected|stuck|torn|cracked|leaking|"
    r"overcharged|double|hacked|expired|error|stopped\s+working)\b",
    re.IGNORECASE,
)
_SUBORDINATE: Final = re.compile(
    rf"{_LEAD}(?:if|because|since|once|after|before|while|unless|although|though|as|until|"
    r"when(?:ever)?\s+(?:i|my|the|you|we|it|they|your|someone)\b)\b",
    re.IGNORECASE,
)
_POINTS: Final = re.compile(
    r"\b(?:it|its|it['’]s|this|that|these|those|them|they|one|ones|him|her|theirs?|such|same)\b",
    re.IGNORECASE,
)
_TELLS: Final = re.compile(
    rf"{_LEAD}(?:i|we|my|our|it|the|this|that|they|he|she|you|your|there)\b", re.IGNORECASE
)


def words(text: str) -> list[str]:
    """The words of `text`, numbers and `#W123` included."""
    return WORD.findall(text)


def is_courtesy(text: str) -> bool:
    """Whether the text is only a greeting, thanks or a confirmation; also when it has no word."""
    return all(word.lower().replace("’", "'") in _COURTESY for word in words(text))


def is_appeal(text: str) -> bool:
    """Whether the text only urges an earlier request: "can you help me?", "tell me how to do it"."""
    return _APPEAL.match(_bare(text)) is not None


def opens_question(text: str) -> bool:
    """Whether the text starts as a question or a wish does ("can I", "where is", "I want to")."""
    return _WONDERS.match(_bare(text)) is not None


def opens_request(text: str) -> bool:
    """Whether the text starts as a question, a wish or an order does ("can I", "I want", "cancel it")."""
    return opens_question(text) or _ORDERS.match(_bare(text)) is not None


def requests(text: str) -> bool:
    """Whether the text requests something explicitly: it opens so, states a wish, or has a `?`.

    Courtesies and appeals request nothing of their own.
    """
    if is_courtesy(text) or is_appeal(text):
        return False
    return opens_request(text) or "?" in text or _WISHES.search(text) is not None


def asks(text: str) -> bool:
    """Whether the text may want an answer: it requests something, or reports trouble ("never arrived")."""
    if is_courtesy(text) or is_appeal(text):
        return False
    return requests(text) or _TROUBLE.search(text) is not None


def points_back(text: str) -> bool:
    """Whether the text has an anaphor: a word for something named elsewhere ("it", "that one", "them")."""
    return _POINTS.search(text) is not None


def is_statement(text: str) -> bool:
    """Whether the text is a statement that requests nothing ("I ordered shoes last week")."""
    return _TELLS.match(_bare(text)) is not None and not asks(text)


def is_subordinate(text: str) -> bool:
    """Whether the text is the first half of a sentence ("if it is late", "when my order comes")."""
    return _SUBORDINATE.match(_bare(text)) is not None


def _bare(text: str) -> str:
    return text.lstrip(" ,;:.-–—")
