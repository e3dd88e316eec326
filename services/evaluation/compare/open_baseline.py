"""Which baseline a word on the command line means: a URL, a gguf file or a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

from slmfleet.models.errors import BaselineFault
from slmfleet.models.extras import install_hint
from slmfleet.services.evaluation.compare.baseline import Baseline
from slmfleet.services.settings import Settings


def is_url(where: str) -> bool:
    """Whether `where` is a URL and not a path."""
    return where.startswith(("http://", "https://"))


def open_baseline(where: str, settings: Settings, threads: int, model: str | None = None) -> Baseline:
    """The baseline at `where`, loaded. `threads` is for models in this process, `model` for a URL.

    Raises BaselineFault where there is none, or the extra that it needs is not installed.
    """
    try:
        if is_url(where):
            from slmfleet.services.evaluation.compare.baseline_openai import UrlBaseline

            key = settings.baseline_api_key
            return UrlBaseline(where, model, key.get_secret_value() if key else None)
        path = Path(where)
        if path.suffix == ".gguf":
            from slmfleet.services.evaluation.compare.baseline_gguf import GgufBaseline

            return GgufBaseline(path, threads)
        if path.is_dir():
            from slmfleet.services.evaluation.compare.baseline_transformers import TransformersBaseline

            return TransformersBaseline(path, threads)
    except ModuleNotFoundError as error:
        hint = install_hint(error, "compare" if is_url(where) else "transformers")
        if hint is None:
            raise
        raise BaselineFault(f"{where}: {hint}") from None
    raise BaselineFault(
        f"{where}: should be a .gguf file, a folder with a Hugging Face model, or the URL of an "
        "OpenAI-compatible server (http://host:port/v1)"
    )
