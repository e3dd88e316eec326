"""transformers itself on a tiny model made here: its words mean nothing, the way in and out is real."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from slmfleet.models.errors import BaselineFault
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.services.evaluation.compare.baseline import prompt
from slmfleet.services.evaluation.compare.baseline_transformers import TransformersBaseline

pytestmark = pytest.mark.train

WINDOW = Passage("window", "The window", "You can return anything within 30 days of its delivery.", 1)
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny-llama")
    words = ["<unk>", "</s>", "you", "can", "return", "anything", "within", "30", "days", "<", ">", "."]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>", chat_template=TEMPLATE
    )
    fast.save_pretrained(path)
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=256,
            bos_token_id=None, eos_token_id=1,
        )
    ).save_pretrained(path)  # fmt: skip
    return path


def test_it_answers_greedily_and_tells_what_it_read(folder: Path) -> None:
    baseline = TransformersBaseline(folder, threads=1)
    assert baseline.name == folder.name
    assert baseline.parameters is not None
    assert 1_000 < baseline.parameters < 10_000
    messages = prompt("Larkspur", [WINDOW], "How long?")
    reply = baseline.answer(messages, 6)
    assert reply == baseline.answer(messages, 6)
    assert reply.prompt_tokens is not None
    assert reply.prompt_tokens > 80
    assert reply.completion_tokens is not None
    assert 0 < reply.completion_tokens <= 6


def test_a_prompt_without_room_is_a_fault(folder: Path) -> None:
    with pytest.raises(BaselineFault, match="exceed 256"):
        TransformersBaseline(folder, 1).answer([{"role": "user", "content": "days " * 300}], 6)


def test_a_folder_without_a_model_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BaselineFault, match="cannot load a causal model"):
        TransformersBaseline(tmp_path, 1)
