"""What each word on the command line opens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from slmfleet.models.errors import BaselineFault
from slmfleet.services.evaluation.compare.open_baseline import open_baseline
from slmfleet.services.settings import Settings


def test_nobody_there_is_a_fault() -> None:
    with pytest.raises(BaselineFault, match=r"http://127\.0\.0\.1:9/v1/models: "):
        open_baseline("http://127.0.0.1:9/v1", Settings(), threads=1)


def test_what_is_neither_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BaselineFault, match=r"should be a \.gguf file, a folder"):
        open_baseline(str(tmp_path / "model.bin"), Settings(), threads=1)


@pytest.mark.parametrize(
    ("where", "module", "extra"),
    [
        ("model.gguf", "xllamacpp", "gguf"),
        (".", "torch", "transformers"),
    ],
)
def test_a_missing_extra_is_named(
    where: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for name in ("gguf", "transformers", "openai"):
        module_name = f"slmfleet.services.evaluation.compare.baseline_{name}"
        monkeypatch.delitem(sys.modules, module_name, raising=False)
    with pytest.raises(BaselineFault, match=rf"{module} is not installed: pip install 'slmfleet\[{extra}\]'"):
        open_baseline(where, Settings(), threads=1)
