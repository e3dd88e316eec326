"""Dates in customers' words, resolved against a Monday."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.text.slots import exact_slots

TODAY = date(2026, 6, 15)
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def dates(text: str, today: date | None = TODAY) -> list[tuple[str, str]]:
    """(written, value) of the dates in `text`."""
    return [(text[it.start : it.end], it.value) for it in exact_slots(text, {}, today) if it.name == "date"]


@pytest.mark.parametrize(
    ("text", "written", "value"),
    [
        ("it came 20 days ago", "20 days ago", "2026-05-26"),
        ("three weeks ago", "three weeks ago", "2026-05-25"),
        ("a couple of days ago", "a couple of days ago", "2026-06-13"),
        ("a month back", "a month back", "2026-05-15"),
        ("a few days ago", "a few days ago", "a few days ago"),
        ("it broke last Friday", "last Friday", "2026-06-12"),
        ("last monday", "last monday", "2026-06-08"),
        ("next monday", "next monday", "2026-06-22"),
        ("this monday", "this monday", "2026-06-15"),
        ("missing since yesterday", "yesterday", "2026-06-14"),
        ("the day before yesterday", "day before yesterday", "2026-06-13"),
        ("i leave in 2 days", "in 2 days", "2026-06-17"),
        ("ordered on the 5th", "the 5th", "2026-06-05"),
        ("ordered on the 20th", "the 20th", "2026-05-20"),
        ("i need it by the 20th", "the 20th", "2026-06-20"),
        ("by the 31st", "the 31st", "2026-07-31"),
        ("will it arrive on Friday", "Friday", "2026-06-19"),
        ("it arrived on Friday", "Friday", "2026-06-12"),
        ("nothing since wed", "wed", "2026-06-10"),
        ("bought 12/24", "12/24", "2025-12-24"),
        ("bought 24/12/2025", "24/12/2025", "2025-12-24"),
        ("bought 12/24/25", "12/24/25", "2025-12-24"),
        ("since 1/2", "1/2", "2026-01-02"),
        ("Dec 24th", "Dec 24th", "2025-12-24"),
        ("Dec. 24, 2024", "Dec. 24, 2024", "2024-12-24"),
        ("ordered on 27 Feb....", "27 Feb", "2026-02-27"),
        ("21st of March", "21st of March", "2026-03-21"),
        ("ordered on june 3rd, 2026", "june 3rd, 2026", "2026-06-03"),
        ("2026-05-01", "2026-05-01", "2026-05-01"),
        ("last week", "last week", "2026-W24"),
        ("last month", "last month", "2026-05"),
        ("in March 2025", "March 2025", "2025-03"),
        ("Feb 29", "Feb 29", "2028-02-29"),
    ],
)
def test_a_date_is_resolved(text: str, written: str, value: str) -> None:
    assert dates(text) == [(written, value)]


@pytest.mark.parametrize(
    "text",
    ["May 45", "13/13", "50/50", "2026-02-30", "24/7", "I am 20 years old", "within 30 days", "for 2 weeks",
     "a sun hat", "march on", "you may 2", "10-12 days", "3/4 inch", "50% in 2", "every friday night", "1.5"],
)  # fmt: skip
def test_no_date_is_none(text: str) -> None:
    assert dates(text) == []


def test_without_a_day_to_count_from_words_stay() -> None:
    assert dates("20  days Ago", None) == [("20  days Ago", "20 days ago")]
    assert dates("on Friday", None) == [("Friday", "friday")]
    assert dates("May 3", None) == [("May 3", "may 3")]
    assert dates("May 3, 2026", None) == [("May 3, 2026", "2026-05-03")]
    assert dates("12/24/25", None) == [("12/24/25", "2025-12-24")]


_days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
_carriers = st.sampled_from(["{}", "it came {}, broken", "({})", "hello {} ?", "📦 {}!"])


@given(
    _days,
    _carriers,
    st.sampled_from(["{d} {m} {y}", "{m} {d}, {y}", "{m} {d}{o} {y}", "{d}{o} of {m}, {y}", "{i}", "{n}"]),
)
def test_a_full_date_is_itself_in_any_form(day: date, carrier: str, form: str) -> None:
    ordinal = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day not in (11, 12, 13) else 0, "th")
    written = form.format(
        d=day.day,
        m=MONTHS[day.month - 1],
        y=day.year,
        o=ordinal,
        i=day.isoformat(),
        n=f"{day.month}/{day.day}/{day.year}",
    )
    assert dates(carrier.format(written)) == [(written, day.isoformat())]


@given(_days, st.integers(1, 300), st.sampled_from(["day", "week"]), _carriers)
def test_days_and_weeks_are_counted_from_today(today: date, count: int, unit: str, carrier: str) -> None:
    word = NUMBERS[count - 1] if count <= len(NUMBERS) else str(count)
    plural = "s" if count > 1 else ""
    span = timedelta(days=count * (7 if unit == "week" else 1))
    for written, day in (
        (f"{word} {unit}{plural} ago", today - span),
        (f"in {count} {unit}{plural}", today + span),
    ):
        assert dates(carrier.format(written), today) == [(written, day.isoformat())]


@given(_days, st.integers(0, 6))
def test_last_and_next_weekdays_are_within_a_week(today: date, weekday: int) -> None:
    name = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[weekday]
    ((_, last),) = dates(f"last {name}", today)
    ((_, coming),) = dates(f"next {name}", today)
    assert (
        today - timedelta(7)
        <= date.fromisoformat(last)
        < today
        < date.fromisoformat(coming)
        <= today + timedelta(7)
    )
    assert date.fromisoformat(last).weekday() == date.fromisoformat(coming).weekday() == weekday


@given(_days, st.integers(1, 12), st.integers(1, 28))
def test_a_day_without_its_year_is_the_nearest(today: date, month: int, day: int) -> None:
    ((_, value),) = dates(f"{MONTHS[month - 1]} {day}", today)
    found = date.fromisoformat(value)
    assert (found.month, found.day) == (month, day)
    assert abs((found - today).days) <= 183
