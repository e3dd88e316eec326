"""Every setting of a serving process: a field, its environment variable (SLMFLEET_<FIELD>), its bounds.

The only place that reads the environment.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

import slmfleet.models
from slmfleet.models.errors import SettingsFault

#: The demonstration shop, shipped inside the package.
SHOP_DIR = Path(next(iter(slmfleet.models.__path__))) / "shop"

#: Read by Ray when it starts, so they must be in the environment before `import ray` (research: HAProxy in
#: throughput mode answers 13 times as many requests a second as Serve's default proxy).
RAY_ENVIRONMENT = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    # On a busy or slow machine a proxy takes longer to start than Ray's 5 s, after which it is killed.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
    "RAY_AUTH_MODE": "disabled",
    # Ray starts its workers at nice 15: beside any other work, customers would wait for it.
    "RAY_worker_niceness": "0",
    # Puts services/serve/middleware.py before Serve's own reading of a request, in each replica.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "slmfleet.services.serve.middleware.serve_middlewares",
    "HF_HUB_OFFLINE": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


#: What a URL of the cache's server may start with.
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


class Settings(BaseSettings):
    """Settings of one serving process. Secrets print as stars."""

    model_config = SettingsConfigDict(env_prefix="SLMFLEET_", extra="forbid", frozen=True)

    fleet_dir: Path = SHOP_DIR
    state_dir: Path = Field(default_factory=lambda: _state_home() / "slmfleet")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65_535)
    placement: Literal["colocated", "split"] = "colocated"
    gateway_replicas: int = Field(default=1, ge=1, le=64)
    specialist_replicas: int = Field(default=1, ge=1, le=64)
    #: Up to how many replicas Ray Serve may scale any specialist; no scaling when not above the field before.
    #: A gateway replica keeps at most that many calls to a specialist under way.
    specialist_max_replicas: int = Field(default=1, ge=1, le=64)
    records_url: str | None = None
    #: Comma-separated API keys. Required when `host` is not a loopback address.
    api_keys: SecretStr = SecretStr("")
    #: Signs customer tokens (HS256, at least 32 bytes). Without it one is made and kept in `state_dir`.
    token_secret: SecretStr | None = None
    #: The cache's and the broker's server, with their passwords. `slmfleet up` starts its own without them.
    redis_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    #: How long the cache's server may take before it counts as gone, and how long an answer is kept.
    redis_timeout_s: float = Field(default=0.05, gt=0, le=10)
    cache_ttl_s: float = Field(default=3_600, gt=0)
    #: Answers that each replica keeps itself, for when that server is gone.
    cache_entries_max: int = Field(default=10_000, ge=1)
    request_timeout_s: float = Field(default=5.0, gt=0, le=300)
    max_queued_requests: int = Field(default=256, ge=1)
    max_ongoing_requests: int = Field(default=64, ge=1)
    max_body_bytes: int = Field(default=1_048_576, ge=1_024)
    max_batch: int = Field(default=64, ge=1, le=1_024)
    #: Seconds after its last question for which a session is remembered, and how many are at most.
    session_ttl_s: float = Field(default=1_800, gt=0)
    sessions_max: int = Field(default=10_000, ge=1)
    #: Events: the most that a consumer takes at once; for how many seconds one may be silent before another
    #: takes over what it had; how often an event is tried; how long answers are remembered.
    event_batch: int = Field(default=32, ge=1, le=1_024)
    event_reclaim_s: float = Field(default=10.0, ge=1, le=3_600)
    event_attempts: int = Field(default=5, ge=1, le=100)
    event_keep_s: float = Field(default=86_400.0, ge=60)
    #: Redis that remembers which events were answered, where the broker is another kind.
    ledger_url: SecretStr | None = None
    #: Watts one busy core is taken to draw where energy cannot be measured.
    core_watts: float = Field(default=8.0, gt=0)
    #: Whether anything is measured, and how often Ray's export port hears of it.
    metrics: bool = True
    metrics_interval_s: float = Field(default=5.0, ge=0.1, le=60)
    #: Ports of the metrics pages of Ray and of HAProxy (`slmfleet up`); 0: any that is free.
    metrics_port: int = Field(default=9464, ge=0, le=65_535)
    haproxy_metrics_port: int = Field(default=9465, ge=0, le=65_535)
    #: Prices, all in one currency of your choice. Without them no cost is told.
    price_core_hour: float | None = Field(default=None, ge=0)
    price_gib_hour: float | None = Field(default=None, ge=0)
    price_kwh: float | None = Field(default=None, ge=0)
    #: A large model to stand beside, and its CPU seconds an answer. By default 40 tokens at the 55 a second
    #: of SmolLM2-135M-Instruct (Q4_1, llama.cpp, one x86 core), not counting its reading of the prompt.
    baseline_model: str = "SmolLM2-135M-Instruct"
    baseline_cpu_s: float = Field(default=0.73, gt=0)
    #: The share of answers from the cache that are computed anew afterwards, to see whether they still agree.
    cache_check_rate: float = Field(default=0.001, ge=0, le=1)
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    #: Whether customers' words are logged (at level info; numbers and addresses in them masked).
    log_queries: bool = False
    #: Where OpenTelemetry spans go (OTLP/HTTP, such as http://127.0.0.1:4318/v1/traces). Without it: nowhere.
    otlp_endpoint: str | None = None
    #: Key of the OpenAI-compatible server that `slmfleet compare` asks.
    baseline_api_key: SecretStr | None = None

    def api_key_set(self) -> frozenset[str]:
        """The API keys, without blanks."""
        keys = (key.strip() for key in self.api_keys.get_secret_value().split(","))
        return frozenset(key for key in keys if key)

    def embedded_dir(self) -> Path:
        """Folder of the embedded servers' files."""
        return self.state_dir / "valkey"

    def resolved_records_url(self) -> str:
        """SQLAlchemy URL of the order records: a SQLite file in `state_dir` unless told otherwise."""
        return self.records_url or f"sqlite:///{self.state_dir / 'records.sqlite'}"


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


def embedded_url_file(folder: Path, name: str) -> Path:
    """Where the embedded server `name` (cache, broker) of a state folder writes its URL."""
    return folder / f"{name}.url"


def embedded_url(folder: Path, name: str) -> str | None:
    """Where the embedded server of a folder is, or was last; None when there never was one."""
    try:
        return embedded_url_file(folder, name).read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment and `overrides` (which win; None means not given).

    Raises SettingsFault naming each wrong setting, and when a non-loopback address has no API keys.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"SLMFLEET_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsFault("\n".join(lines)) from None
    require_keys_off_loopback(settings)
    secret = settings.token_secret
    if secret is not None and len(secret.get_secret_value().encode()) < 32:
        raise SettingsFault("SLMFLEET_TOKEN_SECRET: at least 32 bytes are needed to sign customer tokens")
    redis = settings.redis_url
    if redis is not None and not redis.get_secret_value().startswith(REDIS_SCHEMES):
        raise SettingsFault(f"SLMFLEET_REDIS_URL: should start with one of {', '.join(REDIS_SCHEMES)}")
    return settings


def require_keys_off_loopback(settings: Settings) -> None:
    """Raises SettingsFault when other machines can reach `host` and no API key is asked of them."""
    if not is_loopback(settings.host) and not settings.api_key_set():
        raise SettingsFault(
            f"host {settings.host} can be reached from other machines: set SLMFLEET_API_KEYS "
            "(comma-separated), or use 127.0.0.1"
        )


def set_ray_environment(**more: str) -> None:
    """Put RAY_ENVIRONMENT and `more` into the environment; what is already set there wins.

    Before the first `import ray`, which reads most of it once.
    """
    for name, value in {**RAY_ENVIRONMENT, **more}.items():
        os.environ.setdefault(name, value)
