from __future__ import annotations

import pytest

from slmfleet.models.errors import SettingsFault
from slmfleet.services.evaluation.compare.options import CompareOptions


def test_fewer_than_two_questions_are_refused() -> None:
    with pytest.raises(SettingsFault, match="--questions should be 2 or more, not 1"):
        CompareOptions(questions=1)
