"""Every setting: a field, its environment variable (SLMFLEET_<FIELD>), its bounds and what it does.

The only module that reads the environment.
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

#: Ray reads these when it starts, so they must be set before `import ray`. HAProxy in throughput mode was
#: measured to answer 13 times as many requests a second as Serve's default proxy.
RAY_ENVIRONMENT = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    # On a busy or slow machine a proxy takes longer to start than Ray's 5 s, after which it is killed.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
    "RAY_AUTH_MODE": "disabled",
    # Ray starts its workers at nice 15, so that any other work on the machine would delay answers.
    "RAY_worker_niceness": "0",
    # Puts services/serve/middleware.py before Serve's own reading of a request, in each replica.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "slmfleet.services.serve.middleware.serve_middlewares",
    "HF_HUB_OFFLINE": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


#: Schemes of the cache server's URL.
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


class Settings(BaseSettings):
    """Settings of one process. Secrets print as stars."""

    model_config = SettingsConfigDict(env_prefix="SLMFLEET_", extra="forbid", frozen=True)

    fleet_dir: Path = Field(
        default=SHOP_DIR, description="The retailer's folder; by default the demonstration shop."
    )
    state_dir: Path = Field(
        default_factory=lambda: _state_home() / "slmfleet",
        description="Folder for files written at run time: records, keys, embedded servers. "
        "By default `slmfleet` in $XDG_STATE_HOME or ~/.local/state.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address that the gateway listens on; one beyond this machine needs `api_keys`.",
    )
    port: int = Field(default=8080, ge=1, le=65_535, description="Port of the gateway.")
    placement: Literal["colocated", "split"] = Field(
        default="colocated",
        description="`colocated`: every specialist runs inside each gateway replica. "
        "`split`: each specialist is a deployment of its own.",
    )
    gateway_replicas: int = Field(default=1, ge=1, le=64, description="Replicas of the gateway.")
    specialist_replicas: int = Field(
        default=1, ge=1, le=64, description="Replicas of each specialist when `placement` is `split`."
    )
    specialist_max_replicas: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Replicas that Ray Serve may scale a specialist to; no scaling unless above "
        "`specialist_replicas`. A gateway replica has at most so many calls to a specialist under way.",
    )
    records_url: str | None = Field(
        default=None,
        description="SQLAlchemy URL of orders, customers, products; by default a SQLite file in `state_dir`.",
    )
    api_keys: SecretStr = Field(
        default=SecretStr(""),
        description="API keys for callers, separated by commas; needed when other machines can reach `host`.",
    )
    token_secret: SecretStr | None = Field(
        default=None,
        description="Secret that signs customer tokens (HS256), at least 32 bytes; by default a random one, "
        "stored in `state_dir`.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="URL of the Redis or Valkey for cache and sessions, with its password; without it "
        "`slmfleet up` starts one.",
    )
    broker_url: SecretStr | None = Field(
        default=None,
        description="URL of the event broker (redis://, amqp:// or nats://), with its password; without it "
        "`slmfleet up` starts one.",
    )
    redis_timeout_s: float = Field(
        default=0.05,
        gt=0,
        le=10,
        description="Seconds after which the cache's server counts as away; queries then go on without it.",
    )
    cache_ttl_s: float = Field(default=3_600, gt=0, description="Seconds for which an answer is cached.")
    cache_entries_max: int = Field(
        default=10_000, ge=1, description="Cached answers that each replica holds itself, in memory."
    )
    request_timeout_s: float = Field(
        default=5.0, gt=0, le=300, description="Deadline of a request, in seconds; then it gets status 408."
    )
    max_queued_requests: int = Field(
        default=256, ge=1, description="Requests that may wait for a replica; further ones get status 429."
    )
    max_ongoing_requests: int = Field(
        default=64, ge=1, description="Requests that a replica answers at the same time."
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1_024, description="Most bytes of a request's body; beyond, status 413."
    )
    max_batch: int = Field(
        default=64, ge=1, le=1_024, description="Queries in one `/v1/queries:batch` request at most."
    )
    session_ttl_s: float = Field(
        default=1_800, gt=0, description="Seconds after its last question for which a session is remembered."
    )
    sessions_max: int = Field(
        default=10_000, ge=1, description="Sessions that each replica remembers itself, in memory."
    )
    event_batch: int = Field(
        default=32, ge=1, le=1_024, description="Events that a consumer has unacknowledged at most."
    )
    event_reclaim_s: float = Field(
        default=10.0,
        ge=1,
        le=3_600,
        description="Seconds of silence after which another consumer takes over a consumer's events.",
    )
    event_attempts: int = Field(
        default=5, ge=1, le=100, description="Failed attempts at an event before it becomes a dead letter."
    )
    event_keep_s: float = Field(
        default=86_400.0,
        ge=60,
        description="Seconds for which answers stay on their streams and events are known to be answered.",
    )
    ledger_url: SecretStr | None = Field(
        default=None,
        description="URL of the Redis or Valkey that records which events were answered; by default the "
        "broker, where it is one.",
    )
    core_watts: float = Field(
        default=8.0, gt=0, description="Assumed power of a busy core, in watts, where it is not measured."
    )
    metrics: bool = Field(default=True, description="Whether metrics are recorded.")
    metrics_interval_s: float = Field(
        default=5.0, ge=0.1, le=60, description="Seconds between copies of the metrics to Ray's export port."
    )
    metrics_port: int = Field(
        default=9464,
        ge=0,
        le=65_535,
        description="Port of Ray's metrics page (`slmfleet up`); 0: any free one.",
    )
    haproxy_metrics_port: int = Field(
        default=9465,
        ge=0,
        le=65_535,
        description="Port of HAProxy's metrics page (`slmfleet up`); 0: any free one.",
    )
    price_core_hour: float | None = Field(
        default=None,
        ge=0,
        description="Price of a core-hour, in the currency of the other prices; without prices no cost is "
        "shown.",
    )
    price_gib_hour: float | None = Field(
        default=None,
        ge=0,
        description="Price of a GiB of memory for an hour, in the currency of the other prices.",
    )
    price_kwh: float | None = Field(
        default=None, ge=0, description="Price of a kWh of energy, in the currency of the other prices."
    )
    baseline_model: str = Field(
        default="SmolLM2-135M-Instruct",
        description="Name of the larger model that dashboards compare the fleet with.",
    )
    # 40 tokens at the 55 a second of SmolLM2-135M-Instruct (Q4_1, llama.cpp, one x86 core).
    baseline_cpu_s: float = Field(
        default=0.73,
        gt=0,
        description="CPU seconds of that model for one answer; by default for 40 tokens, without reading the "
        "prompt.",
    )
    cache_check_rate: float = Field(
        default=0.001,
        ge=0,
        le=1,
        description="Share of cached answers, from 0 to 1, that are computed again to check them.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="Least severe level that is logged."
    )
    log_queries: bool = Field(
        default=False,
        description="Whether customers' words are logged, at level info, with numbers and addresses masked.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        description="OTLP/HTTP URL for OpenTelemetry spans, such as http://127.0.0.1:4318/v1/traces; "
        "no spans without it.",
    )
    baseline_api_key: SecretStr | None = Field(
        default=None, description="API key of the OpenAI-compatible server that `slmfleet compare` asks."
    )

    def api_key_set(self) -> frozenset[str]:
        """The API keys, without blanks."""
        keys = (key.strip() for key in self.api_keys.get_secret_value().split(","))
        return frozenset(key for key in keys if key)

    def embedded_dir(self) -> Path:
        """Folder of the embedded servers' files."""
        return self.state_dir / "valkey"

    def resolved_records_url(self) -> str:
        """SQLAlchemy URL of the records: `records_url`, by default a SQLite file in `state_dir`."""
        return self.records_url or f"sqlite:///{self.state_dir / 'records.sqlite'}"


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


def embedded_url_file(folder: Path, name: str) -> Path:
    """The file in `folder` with the URL of the embedded server `name` (cache, broker)."""
    return folder / f"{name}.url"


def embedded_url(folder: Path, name: str) -> str | None:
    """The URL of the embedded server `name`, running or last started; None when there never was one."""
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
    """Settings from `overrides` (None: not given), then the environment, then the defaults.

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
    """Raises SettingsFault when other machines can reach `host` and there are no API keys."""
    if not is_loopback(settings.host) and not settings.api_key_set():
        raise SettingsFault(
            f"host {settings.host} can be reached from other machines: set SLMFLEET_API_KEYS "
            "(comma-separated), or use 127.0.0.1"
        )


def set_ray_environment(**more: str) -> None:
    """Put RAY_ENVIRONMENT and `more` into the environment, except variables that are already set.

    Must be called before the first `import ray`, which reads most of them once.
    """
    for name, value in {**RAY_ENVIRONMENT, **more}.items():
        os.environ.setdefault(name, value)
