"""One Ray cluster for this folder, on this machine alone; the word shop is deployed below a prefix a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.serving import WORDS, WordParts, write_word_shop
from fakes.waiting import until

from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.serve.up import cluster_environment
from slmfleet.services.settings import Settings, set_ray_environment

TESTS = Path(__file__).parent.parent


@dataclass
class Deployed:
    """A word shop that is being served."""

    name: str
    folder: Path
    url: str
    settings: Settings
    parts: WordParts
    client: httpx.Client = field(repr=False)

    def ask(self, text: str, **more: Any) -> httpx.Response:
        return self.client.post("/v1/queries", json={"text": text}, **more)


@dataclass
class Cluster:
    """Ray with Serve listening."""

    app: Any
    serve: Any
    port: int
    folder: Path
    metrics_port: int
    haproxy_metrics_port: int
    logs: Path

    @contextmanager
    def shop(self, name: str, parts: WordParts | None = None, **settings: Any) -> Iterator[Deployed]:
        """The word shop at /<name>, gone again afterwards. Health is checked twice a second."""
        folder = self.folder / name
        made = Settings(
            fleet_dir=write_word_shop(folder / "fleet"),
            state_dir=folder,
            port=self.port,
            metrics_interval_s=0.5,
            **settings,
        )
        parts = parts or WordParts()
        url = f"http://127.0.0.1:{self.port}/{name}"
        with httpx.Client(base_url=url, timeout=20) as client:
            shop = Deployed(name, folder, url, made, parts, client)
            try:
                self.deploy(shop)
                yield shop
            finally:
                self.serve.delete(name)

    def deploy(self, shop: Deployed) -> None:
        """Deploy `shop` and wait until it answers."""
        app = self.app.build_app(shop.settings, shop.parts, health_check_period_s=0.5)
        self.serve.run(app, name=shop.name, route_prefix=f"/{shop.name}")
        self.await_answer(shop)

    @contextmanager
    def configured_shop(self, name: str, placement: str) -> Iterator[Deployed]:
        """As `shop`, deployed by a Serve config as `serve deploy` and KubeRay do."""
        folder = self.folder / name
        made = Settings(fleet_dir=write_word_shop(folder / "fleet"), state_dir=folder)
        url = f"http://127.0.0.1:{self.port}/{name}"
        with httpx.Client(base_url=url, timeout=20) as client:
            shop = Deployed(name, folder, url, made, WordParts(), client)
            try:
                self.announce(shop, placement, "0")
                yield shop
            finally:
                self.serve.delete(name)

    def announce(self, shop: Deployed, placement: str, revision: str) -> None:
        """Apply the shop's config with another revision, and wait until Serve has carried it out."""
        from ray.serve.context import _get_global_client
        from ray.serve.schema import ServeDeploySchema

        names = ["gateway"] + [f"specialist-{domain}" for domain in WORDS if placement == "split"]
        config = {
            "name": shop.name,
            "route_prefix": f"/{shop.name}",
            "import_path": "fakes.serving:word_app",
            "args": {
                "fleet_dir": str(shop.settings.fleet_dir),
                "state_dir": str(shop.folder),
                "placement": placement,
            },
            "deployments": [{"name": name, "user_config": {"revision": revision}} for name in names],
        }
        _get_global_client().deploy_apps(ServeDeploySchema.model_validate({"applications": [config]}))
        until(lambda: self._running(shop.name, len(names)), 30)
        self.await_answer(shop)

    def _running(self, name: str, deployments: int) -> bool:
        found = self.serve.status().applications.get(name)
        return found is not None and found.status.value == "RUNNING" and len(found.deployments) == deployments

    def await_answer(self, shop: Deployed) -> None:
        """Wait until HAProxy knows the way."""
        until(lambda: shop.client.get("/healthz").status_code == 200)

    def health(self, shop: Deployed, deployment: str) -> str:
        """HEALTHY, UNHEALTHY, UPDATING ... in Serve's words."""
        return str(self.serve.status().applications[shop.name].deployments[deployment].status.value)


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        # replicas import the fakes by name
        path = [str(TESTS), str(TESTS.parent / "deploy" / "editable"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
        folder = tmp_path_factory.mktemp("cluster")
        with cluster_environment() as environment:
            set_ray_environment(**environment, RAY_metrics_report_interval_ms="1000")
            from ray import serve

            from slmfleet.services.serve import app

            port, metrics_port = free_ports(2)
            logs = app.start(Settings(port=port, state_dir=folder), metrics_port)
            haproxy_port = int(environment["RAY_SERVE_HAPROXY_METRICS_PORT"])
            yield Cluster(app, serve, port, folder, metrics_port, haproxy_port, logs)
            app.stop()
