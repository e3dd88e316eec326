"""Dates as customers write them, absolute or relative, resolved to ISO 8601 against a given day.

A day is `2026-06-15`, a week `2026-W25`, a month `2026-05`, a year `2025`. What cannot be resolved (there is
no day to resolve it against, or it is vague: "a few days ago") keeps its words.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_COUNTS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip

_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|(?<!\bi\s)(?<!\bwe\s)(?<!\byou\s)(?<!\bit\s)may(?!\s+(?:i|we|you|be|not|have)\b)|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b(?:\.(?=,?\s{1,3}\d))?"
)
_WEEKDAY = (
    r"(?P<weekday>mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?)\b"
)
_COUNT = (
    r"(?P<count>\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|(?:a\s{1,3})?(?:couple(?:\s{1,3}of)?|few)|several)"
)
_UNIT = r"(?P<unit>day|week|month|year)s?"
_DAY_NUMBER = r"(?P<day>\d{1,2})"
_YEAR = r"(?:,?\s{1,3}(?P<year>(?:19|20)\d{2})(?!\w))?"
_PREPOSITION = r"(?P<preposition>on|since|by|until|till|before|from|after|of|dated)"
#: Words that make "12/24" a share or a size and no date, and "24/7" none ever.
_NO_DATE_AFTER = (
    r'(?![\w/%]|[.,]\d|\s{0,2}(?:inch|inches|stars?|price|off|cups?|support|hours?|pieces|")(?!\w))'
)

#: A word shortly before an "on Friday" that is still to come; without one, customers write about the past.
_AHEAD = re.compile(
    r"(?:\b(?:will|won't|going to|gonna|deliver|arrive|ship|come|send|pick up|get here|need it)\b|'ll\b)"
    r"[^.?!]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class DateForm:
    """One way to write a date. `value` gives its ISO form, None for what is no date after all.

    `sign` is what every match has in it: a digit, or a word of time (slots.SIGNS).
    """

    pattern: re.Pattern[str]
    value: Callable[[re.Match[str], date], str | None]
    needs_today: bool = True
    sign: Literal["digit", "time"] = "digit"


def date_value(form: DateForm, match: re.Match[str], today: date | None) -> str | None:
    """The value of a match of `form`: ISO 8601 where `today` is known or not needed, else its words.

    None for what is no date (the 45th of May).
    """
    value = form.value(match, today or date(2000, 1, 1))
    if value is None:
        return None
    if value and (today is not None or not form.needs_today or match.groupdict().get("year")):
        return value
    return " ".join(match["value" if "value" in match.re.groupindex else 0].lower().split())


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _nearest(month: int, day: int, today: date) -> date | None:
    """The day of that month nearest to today; of two as near the earlier."""
    days = (_day(today.year + shift, month, day) for shift in (-1, 0, 1, -2, 2, -3, 3, -4, 4))
    return min((it for it in days if it), key=lambda it: abs((it - today).days), default=None)


def _full(match: re.Match[str], today: date) -> str | None:
    return _iso(_day(int(match["year"]), int(match["month"]), int(match["day"])))


def _numbers(match: re.Match[str], today: date) -> str | None:
    """Month before day, as is written where `en-US` is, unless only the other order is a date."""
    first, second, year = int(match["first"]), int(match["second"]), match.groupdict().get("year")
    if year is None:
        if (first, second) == (24, 7) or (not match["preposition"] and (first, second) in _FRACTIONS):
            return None
        return _iso(_nearest(first, second, today) or _nearest(second, first, today))
    full = int(year) if len(year) == 4 else 2000 + int(year)
    return _iso(_day(full, first, second) or _day(full, second, first))


_FRACTIONS = {(1, 2), (1, 3), (2, 3), (1, 4), (3, 4), (1, 1), (10, 10)}


def _named(match: re.Match[str], today: date) -> str | None:
    month, day, year = _month(match), int(match["day"]), match["year"]
    return _iso(_day(int(year), month, day) if year else _nearest(month, day, today))


def _month(match: re.Match[str]) -> int:
    return _MONTHS.index(match["month"].lower()[:3]) + 1


def _shifted(match: re.Match[str], today: date) -> str | None:
    words = match["count"].lower().split()
    word = next((it for it in words if it in ("couple", "few", "several")), words[0])
    count = int(word) if word.isdecimal() else _COUNTS.get(word)
    if count is None:
        return ""
    if match.groupdict().get("ago"):
        count = -count
    unit = match["unit"].lower()
    if unit in ("day", "week"):
        return _iso(today + timedelta(days=count * (7 if unit == "week" else 1)))
    months = today.year * 12 + today.month - 1 + count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    return _iso(_day(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1])))


_WORDS = {"yesterday": -1, "last night": -1, "today": 0, "tonight": 0, "this morning": 0, "tomorrow": 1,
          "day before yesterday": -2, "day after tomorrow": 2}  # fmt: skip


def _word(match: re.Match[str], today: date) -> str | None:
    return _iso(today + timedelta(days=_WORDS[" ".join(match[0].lower().split())]))


def _ahead(match: re.Match[str]) -> bool:
    """Whether a date after a preposition is still to come."""
    preposition = match["preposition"].lower()
    if preposition in ("by", "until", "till", "before"):
        return True
    return preposition == "on" and bool(
        _AHEAD.search(match.string, max(0, match.start() - 40), match.start())
    )


def _weekday(match: re.Match[str], today: date) -> str | None:
    groups = match.groupdict()
    which = (groups.get("which") or "").lower()
    back = (today.weekday() - _DAYS.index(match["weekday"].lower()[:3])) % 7
    if which in ("this", "coming"):
        return _iso(today + timedelta(days=-back % 7))
    if which == "next" or (not which and _ahead(match)):
        return _iso(today + timedelta(days=7 - back))
    return _iso(today - timedelta(days=back or 7))


def _period(match: re.Match[str], today: date) -> str | None:
    step = {"last": -1, "past": -1, "this": 0, "next": 1}[match["which"].lower()]
    if match["unit"].lower() == "week":
        year, week, _ = (today + timedelta(days=7 * step)).isocalendar()
        return f"{year}-W{week:02}"
    if match["unit"].lower() == "year":
        return str(today.year + step)
    year, month = divmod(today.year * 12 + today.month - 1 + step, 12)
    return f"{year}-{month + 1:02}"


def _day_of_month(match: re.Match[str], today: date) -> str | None:
    """The latest such day up to today, or the next one where the words look ahead."""
    day, ahead = int(match["day"]), _ahead(match)
    for step in range(13):
        year, month = divmod(today.year * 12 + today.month - 1 + (step if ahead else -step), 12)
        found = _day(year, month + 1, day)
        if found and (found > today if ahead else found <= today):
            return _iso(found)
    return None


def _form(
    pattern: str, value: Callable[[re.Match[str], date], str | None], needs_today: bool = True
) -> DateForm:
    return DateForm(re.compile(pattern, re.IGNORECASE), value, needs_today)


def _in_words(pattern: str, value: Callable[[re.Match[str], date], str | None]) -> DateForm:
    return DateForm(re.compile(pattern, re.IGNORECASE), value, sign="time")


#: In order of precedence.
FORMS: Final[tuple[DateForm, ...]] = (
    _form(r"(?<![\w-])(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?![\w-])", _full, False),
    _form(
        r"(?<![\w/.-])(?P<first>\d{1,2})(?P<mark>[/.-])(?P<second>\d{1,2})(?P=mark)(?P<year>(?:19|20)\d{2}|\d{2})"
        r"(?![\w/-]|\.\d)",
        _numbers,
        False,
    ),
    _form(
        rf"(?:\b{_PREPOSITION}\s{{1,3}})?(?<![\w/.,$€£₹-])(?P<value>(?P<first>\d{{1,2}})/(?P<second>\d{{1,2}}))"
        rf"{_NO_DATE_AFTER}",
        _numbers,
    ),
    _form(rf"(?<![\w.,$-]){_DAY_NUMBER}(?:st|nd|rd|th)?\s{{0,3}}(?:of\s{{1,3}})?{_MONTH}{_YEAR}", _named),
    _form(
        rf"\b{_MONTH}\s{{0,3}}(?:the\s{{1,3}})?{_DAY_NUMBER}(?:st|nd|rd|th)?(?![\w%]|[.,:]\d){_YEAR}", _named
    ),
    _form(
        rf"\b{_MONTH}\s{{1,3}}(?P<year>(?:19|20)\d{{2}})(?!\w)",
        lambda match, _: f"{match['year']}-{_month(match):02}",
        False,
    ),
    _in_words(rf"(?<![\w.,$-]){_COUNT}\s{{1,3}}{_UNIT}\s{{1,3}}(?P<ago>ago|back|earlier)\b", _shifted),
    _in_words(rf"\bin\s{{1,3}}{_COUNT}\s{{1,3}}{_UNIT}\b", _shifted),
    _in_words(
        r"\b(?:day\s{1,3}before\s{1,3}yesterday|day\s{1,3}after\s{1,3}tomorrow|yesterday|today|tonight|tomorrow"
        r"|last\s{1,3}night|this\s{1,3}morning)\b",
        _word,
    ),
    _in_words(rf"\b(?P<which>last|past|this|coming|next)\s{{1,3}}{_WEEKDAY}", _weekday),
    _in_words(rf"\b{_PREPOSITION}\s{{1,3}}(?P<value>{_WEEKDAY})", _weekday),
    _in_words(r"\b(?P<which>last|past|this|next)\s{1,3}(?P<unit>week|month|year)\b", _period),
    _form(
        rf"\b{_PREPOSITION}\s{{1,3}}(?P<value>the\s{{1,3}}{_DAY_NUMBER}(?:st|nd|rd|th)\b)"
        r"(?!\s+(?:floor|time|order|item|one|day|week|month|edition|street|avenue|ave|try|attempt)\b)",
        _day_of_month,
    ),
)
