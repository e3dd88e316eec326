"""A gguf file as baseline, by llama.cpp in this process. Needs the extra `gguf`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import xllamacpp

from slmfleet.models.errors import BaselineFault
from slmfleet.services.evaluation.compare.baseline import CONTEXT_TOKENS, Message, Reply


class GgufBaseline:
    """A quantised model with its own chat template, on `threads` threads."""

    in_process = True
    leaves_machine = False

    def __init__(self, path: Path, threads: int) -> None:
        """Load the model. Raises BaselineFault where the file is not there or is no model."""
        if not path.is_file():
            raise BaselineFault(f"{path}: there is no such file")
        self.name = path.stem
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.n_gpu_layers = CONTEXT_TOKENS, 1, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        # Earlier prompts are not cached in memory; the system prompt, which all of them share, is.
        params.cache_ram_mib = 0
        # It listens on a loopback port of its own choice, where nobody else is to compute anything.
        key = secrets.token_hex()
        params.api_keys = [key]
        params.offline, params.ui, params.verbosity = True, False, -1
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError:
            raise BaselineFault(f"{path}: llama.cpp cannot load it as a gguf model") from None
        self.parameters = self._parameters(key)

    def _parameters(self, key: str) -> int | None:
        """What llama.cpp tells over its port alone."""
        at = urlsplit(self._server.listening_address)
        with closing(HTTPConnection(at.hostname or "", at.port, timeout=10)) as connection:
            connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
            meta = json.load(connection.getresponse())["data"][0].get("meta") or {}
        return int(meta["n_params"]) if "n_params" in meta else None

    def answer(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The likeliest continuation. Raises BaselineFault where the prompt is too long."""
        response = self._server.handle_chat_completions(
            {"messages": list(messages), "temperature": 0, "max_tokens": max_tokens}
        )
        if "error" in response:
            raise BaselineFault(f"{self.name}: {response['error']['message']}")
        usage = response["usage"]
        return Reply(
            response["choices"][0]["message"]["content"] or "",
            int(usage["prompt_tokens"]),
            int(usage["completion_tokens"]),
        )

    def close(self) -> None:
        """Stop llama.cpp's threads and free the model."""
        del self._server
