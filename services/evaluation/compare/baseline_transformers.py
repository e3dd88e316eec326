"""A Hugging Face folder as baseline, by transformers in this process. Needs the extra `transformers`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from slmfleet.models.errors import BaselineFault
from slmfleet.services.evaluation.compare.baseline import CONTEXT_TOKENS, Message, Reply


class TransformersBaseline:
    """A causal model in a folder, on `threads` threads, in the number type that it is stored in."""

    in_process = True
    leaves_machine = False

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the model. Raises BaselineFault where the folder holds none."""
        self.name = folder.name
        torch.set_num_threads(threads)
        disable_progress_bar()  # the comparison has its own
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype="auto"
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise BaselineFault(f"{folder}: transformers cannot load a causal model: {reason}") from None
        self.parameters: int | None = int(self._model.num_parameters())

    def answer(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The likeliest continuation. Raises BaselineFault where the prompt is too long."""
        tokens = self._tokenizer(self._written(messages), return_tensors="pt", add_special_tokens=False)
        read = int(tokens["input_ids"].shape[1])
        room = min(CONTEXT_TOKENS, getattr(self._model.config, "max_position_embeddings", CONTEXT_TOKENS))
        if read + max_tokens > room:
            raise BaselineFault(f"{self.name}: {read} tokens of prompt and {max_tokens} exceed {room}")
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                max_new_tokens=max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=self._tokenizer.eos_token_id,
            )[0, read:]
        return Reply(self._tokenizer.decode(written, skip_special_tokens=True), read, len(written))

    def close(self) -> None:
        """Free the model."""
        del self._model

    def _written(self, messages: Sequence[Message]) -> str:
        if self._tokenizer.chat_template:
            return str(
                self._tokenizer.apply_chat_template(
                    list(messages), tokenize=False, add_generation_prompt=True
                )
            )
        return "\n\n".join([*(message["content"] for message in messages), "Answer:"])
