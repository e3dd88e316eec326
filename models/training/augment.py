"""Augmentation of training rows: typing errors, few words, chat style.

Letter case needs none of this: tokenizer and lexical head read everything in lower case.
"""

from __future__ import annotations

import random

_NEIGHBOURS = {
    "a": "sqz", "b": "vgn", "c": "xdv", "d": "sfe", "e": "wrd", "f": "dgr", "g": "fht", "h": "gjy",
    "i": "uok", "j": "hku", "k": "jli", "l": "ko", "m": "n", "n": "bm", "o": "ipl", "p": "o",
    "q": "wa", "r": "etf", "s": "adw", "t": "ryg", "u": "yij", "v": "cb", "w": "qes", "x": "zc",
    "y": "tuh", "z": "xa",
}  # fmt: skip
#: Words that terse writers leave out; none of them carries the request or negates it.
_SPARED_WORDS = (
    "a an the i i'd i'm me my we our us you your it its is are am was be do does did have has had can could "
    "would will may should there this that to please kindly just so some any hi hello hey thanks thank "
    "want need like"
)
_SPARED = frozenset(_SPARED_WORDS.split())
_SPARED_SHARE = 0.8
#: Short forms of words in chats.
_SHORT = {
    "please": ("pls", "plz"), "you": ("u",), "your": ("ur",), "are": ("r",), "thanks": ("thx",),
    "because": ("coz", "bcz"), "and": ("&", "n"), "don't": ("dont",), "can't": ("cant",), "cannot": ("cant",),
    "i'm": ("im",), "i've": ("ive",), "didn't": ("didnt",), "doesn't": ("doesnt",), "isn't": ("isnt",),
    "haven't": ("havent",), "won't": ("wont",), "what's": ("whats",), "where's": ("wheres",),
    "number": ("no",), "information": ("info",), "account": ("acc", "acct"), "okay": ("ok",),
    "tomorrow": ("tmrw",), "today": ("2day",), "before": ("b4",), "message": ("msg",), "minutes": ("mins",),
    "quantity": ("qty",), "address": ("addr",),
}  # fmt: skip
_SHORT_SHARE = 0.5
_GREETINGS = ("hi", "hello", "hey", "hi team", "dear team", "sir", "ok", "so")
_ENDINGS = ("please", "pls", "plz", "thanks", "asap", "sir", "?", "??")
_AROUND_SHARE = 0.3


def with_typo(text: str, dice: random.Random) -> str:
    """`text` with one error in one word of over four letters: swapped, dropped, doubled or a near key."""
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    index = dice.choice(long)
    word = words[index]
    at = dice.randrange(1, len(word) - 1)
    slip = dice.randrange(4)
    if slip == 0:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif slip == 1:
        word = word[:at] + word[at + 1 :]
    elif slip == 2:
        word = word[:at] + word[at] + word[at:]
    else:
        word = word[:at] + dice.choice(_NEIGHBOURS.get(word[at].lower(), word[at])) + word[at + 1 :]
    words[index] = word
    return " ".join(words)


def terse(text: str, dice: random.Random) -> str:
    """`text` without most of its function words; unchanged where nothing would be left."""
    words = text.split()
    remaining = [
        word for word in words if word.lower().strip(".,;!?") not in _SPARED or dice.random() >= _SPARED_SHARE
    ]
    return " ".join(remaining) if remaining else text


def colloquial(text: str, dice: random.Random) -> str:
    """`text` in chat style: short forms, no full stop, at times a greeting or a please."""
    words = []
    for word in text.rstrip(".!?").split():
        short = _SHORT.get(word.lower())
        words.append(dice.choice(short) if short and dice.random() < _SHORT_SHARE else word)
    if dice.random() < _AROUND_SHARE:
        words.insert(0, dice.choice(_GREETINGS))
    if dice.random() < _AROUND_SHARE:
        words.append(dice.choice(_ENDINGS))
    return " ".join(words)
