"""The options of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from slmfleet.models.errors import SettingsFault


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a core-hour, and of a million tokens that a URL reads and writes; all in one currency."""

    core_hour: float | None = None
    million_read: float | None = None
    million_written: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How many questions, drawn with which seed; what the baseline may write, is given and costs.

    With `right_passage` the right passage is always in the baseline's prompt. Raises SettingsFault for fewer
    than two questions.
    """

    questions: int = 80
    seed: int = 0
    max_tokens: int = 160
    right_passage: bool = False
    prices: Prices = Prices()

    def __post_init__(self) -> None:
        if self.questions < 2:
            raise SettingsFault(f"--questions should be 2 or more, not {self.questions}")
