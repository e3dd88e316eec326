from __future__ import annotations

import os
import platform

import pytest

from slmfleet.services.embedded.binary import valkey_binary


def test_the_binary_is_there_and_can_be_run() -> None:
    assert os.access(valkey_binary(), os.X_OK)


def test_a_platform_without_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Plan9")
    with pytest.raises(FileNotFoundError, match="plan9"):
        valkey_binary()
