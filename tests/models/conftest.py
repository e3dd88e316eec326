from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.fleet import FLEET, PARCELS, PARCELS_KNOWLEDGE, RETURNS, RETURNS_KNOWLEDGE, ROUTER, ROWS


@pytest.fixture
def make_fleet(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small fleet of two domains; keyword arguments replace whole files (`returns/domain.yaml`)."""

    def make(**files: str) -> Path:
        texts = {
            "fleet.yaml": FLEET,
            "returns/domain.yaml": RETURNS,
            "returns/knowledge.md": RETURNS_KNOWLEDGE,
            "parcels/domain.yaml": PARCELS,
            "parcels/knowledge.md": PARCELS_KNOWLEDGE,
        }
        for domain, intents in ROWS.items():
            rows = [
                {"text": text, "intent": intent, "passage": passage, "source": "own"}
                for (intent, passage), written in intents.items()
                for text in written
            ]
            texts[f"{domain}/utterances.jsonl"] = "\n".join(map(json.dumps, rows))
        rows = [{"text": text, "intent": intent} for intent, written in ROUTER.items() for text in written]
        texts["router/utterances.jsonl"] = "\n".join(map(json.dumps, rows))
        for name, text in {**texts, **files}.items():
            path = tmp_path / "fleet" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / "fleet"

    return make
