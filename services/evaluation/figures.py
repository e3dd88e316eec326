"""A share of rows as reported: percent, interval, counts."""

from __future__ import annotations

from pydantic import BaseModel

from slmfleet.models.training.evaluate import Share


class Figure(BaseModel):
    """`hits` of `total` rows; `low` and `high` are the ends of Wilson's 95 % interval, in percent."""

    percent: float | None
    low: float | None
    high: float | None
    hits: int
    total: int

    @classmethod
    def of(cls, share: Share) -> Figure:
        """The figure of a share; of no rows, without a percentage."""
        if not share.total:
            return cls(percent=None, low=None, high=None, hits=0, total=0)
        low, high = share.interval
        return cls(
            percent=round(100 * share.value, 2), low=round(100 * low, 2), high=round(100 * high, 2),
            hits=share.hits, total=share.total,
        )  # fmt: skip

    def __str__(self) -> str:
        if self.percent is None:
            return "-"
        return f"{self.percent:.1f} [{self.low:.0f}-{self.high:.0f}] {self.total}"
