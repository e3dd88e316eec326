"""`slmfleet up`: the whole fleet on this machine, from nothing to ready and back.

Imports Ray only after its environment is set, since Ray reads it once.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pydantic import SecretStr

from slmfleet.models.errors import BundleFault, ModelBroken, SettingsFault, Unreachable
from slmfleet.services.embedded.configuration import Name
from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.embedded.supervisor import embedded_valkeys
from slmfleet.services.pipeline.assembly import FleetFactory
from slmfleet.services.schemas import DomainBody, FleetBody, RouterBody
from slmfleet.services.settings import Settings, set_ray_environment

_READY_WITHIN_S = 30.0
#: How Ray quotes an error of ours at the end of a replica's traceback.
_OWN_ERROR = re.compile(r"slmfleet\.models\.errors\.\w+: (.+)")


def serve_fleet(
    settings: Settings, tell: Callable[[str], None] = print, parts: FleetFactory | None = None
) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is in flight. `tell` hears what is loaded, by line.

    Raises SettingsFault when the port is taken, FleetFault for a wrong configuration, BundleFault when a
    model cannot be loaded, ModelBroken when the fleet does not become ready, Unreachable when Ray fails.
    """
    _require_free(settings.host, settings.port, "choose another port")
    for name in ("metrics_port", "haproxy_metrics_port"):
        if port := getattr(settings, name):
            _require_free("127.0.0.1", port, f"choose another SLMFLEET_{name.upper()} (0: any)")
    metrics_port = settings.metrics_port or free_ports(1)[0]
    haproxy_port = settings.haproxy_metrics_port or free_ports(1)[0]
    with (
        cluster_environment(haproxy_port) as environment,
        _signals() as stopped,
        _with_servers(settings, tell) as settings,
    ):
        set_ray_environment(**environment)
        from slmfleet.services.serve import app

        try:
            tell("starting ...")
            logs = app.start(settings, metrics_port)
            stopped.listen()
            if not stopped.is_set():
                refusal = app.run(settings, parts)
                if refusal is not None:
                    raise BundleFault(
                        error_messages(refusal) or f"the fleet cannot be loaded; the logs are in {logs}"
                    )
                _await_ready(settings, stopped)
            if not stopped.is_set():
                for line in _loaded(settings):
                    tell(line)
                tell(f"metrics: http://127.0.0.1:{metrics_port}/metrics, HAProxy's on port {haproxy_port}")
            stopped.wait()
            tell("finishing what is in flight ...")
        except app.RAY_FAILURES as error:
            cause = getattr(error, "cause", None) or error  # of a task's error, which prints a traceback
            said = str(cause).strip().partition("\n")[0] or type(cause).__name__
            raise Unreachable(f"Ray does not serve any more: {said}") from error
        finally:
            app.stop()
    tell("stopped")


@contextmanager
def cluster_environment(haproxy_metrics_port: int | None = None) -> Iterator[dict[str, str]]:
    """What keeps a cluster of this process apart from others: its files in a folder of its own, a secret.

    HAProxy's files and the ports of its two pages have fixed defaults, so that a second cluster on one host
    would take over the first one's socket. The pages (counters, no content) listen on all interfaces
    whatever `host` says, as Ray's own ports do, which take pickled orders from whoever reaches them. The
    variable named after other systems makes a Linux node call itself 127.0.0.1 too, and most of those ports
    then bind there alone; the replicas' own do not, so each run has a token besides.
    """
    metrics, stats = free_ports(2)
    metrics = haproxy_metrics_port or metrics
    with tempfile.TemporaryDirectory(prefix="slmfleet-") as folder:
        yield {
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{folder}/haproxy.cfg",
            "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{folder}/admin.sock",
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": folder,
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{folder}/server-state",
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{folder}/metrics.sock",
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }


@contextmanager
def _with_servers(settings: Settings, tell: Callable[[str], None]) -> Iterator[Settings]:
    """The settings with the URLs of embedded servers in place of those that are not given.

    Without a cache's server each replica has a cache of its own.
    """
    given: dict[Name, SecretStr | None] = {"cache": settings.redis_url, "broker": settings.broker_url}
    names = tuple(name for name, url in given.items() if url is None)
    with embedded_valkeys(settings.embedded_dir(), names, tell) as urls:
        fields = {"cache": "redis_url", "broker": "broker_url"}
        yield settings.model_copy(update={fields[name]: SecretStr(url) for name, url in urls.items()})


def _require_free(host: str, port: int, instead: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsFault(f"cannot listen on {host}:{port}: {error.strerror}; {instead}") from None


class _Stop(threading.Event):
    """Set by the first SIGINT or SIGTERM; a second one interrupts.

    The first does not interrupt, since a start of Ray broken off halfway leaves processes behind.
    """

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.is_set():
            raise KeyboardInterrupt
        self.set()

    def listen(self) -> None:
        """Take the signals; again after `ray.init`, which takes SIGTERM for itself."""
        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, self.receive)


@contextmanager
def _signals() -> Iterator[_Stop]:
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    stop = _Stop()
    stop.listen()
    try:
        yield stop
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _await_ready(settings: Settings, stopped: threading.Event) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    told = "it does not answer"
    while time.monotonic() < deadline:
        status, body = _get(settings, "/readyz")
        if status == 200 or stopped.is_set():
            return
        if body:
            told = body.decode("utf-8", "replace")
        time.sleep(0.05)
    raise ModelBroken(f"the fleet is not ready after {_READY_WITHIN_S:g} s: {told}")


def _loaded(settings: Settings) -> Iterator[str]:
    status, body = _get(settings, "/v1/fleet")
    if status != 200:
        raise Unreachable("the fleet was ready and does not answer any more; a process of Ray's has died")
    fleet = FleetBody.model_validate(json.loads(body))
    models: list[tuple[str, RouterBody | DomainBody]] = [("router", fleet.router)]
    models += [(each.domain, each) for each in fleet.domains]
    for name, model in models:
        size = f"{model.parameters / 1e6:.1f} M parameters, {model.bytes / 1e6:.1f} MB"
        yield f"  {name:<12} {model.version}  {size}"
    yield f"{fleet.retailer} is served at http://{settings.host}:{settings.port} ({fleet.placement})"
    key = " -H 'x-api-key: ...'" if settings.api_key_set() else ""
    yield (
        f"curl -s http://{settings.host}:{settings.port}/v1/queries -H 'content-type: application/json'{key} "
        """-d '{"text": "how long do I have to return shoes?"}'"""
    )


def _get(settings: Settings, path: str) -> tuple[int, bytes]:
    """Status and body; 0 where nobody answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.port, timeout=5)
    try:
        key = next(iter(settings.api_key_set()), None)
        connection.request("GET", path, headers={"x-api-key": key} if key else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def error_messages(refusal: str) -> str | None:
    """The messages of our own errors in a replica's traceback, None when there is none."""
    found = _OWN_ERROR.findall(refusal)
    return "\n".join(dict.fromkeys(found)) or None
