"""Deploys a rendered RayService's serveConfigV2 on a cluster of its own and asks the fleet; prints JSON.

stdin: {"spec": of the RayService, "config": its parsed serveConfigV2, "environment": {}, "key": an API key}
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import httpx
from deploy.cluster import RayCluster
from deploy.nodes import make_network, until


def _json(method: str, url: str, headers: dict[str, str], body: Any = None) -> Any:
    """What is answered with 200; None otherwise, as when two busy cores miss the fleet's own deadline."""
    answer = httpx.request(method, url, json=body, headers=headers, timeout=60)
    return answer.json() if answer.status_code == 200 else None


def _fewest(deployment: dict[str, Any]) -> int:
    """Replicas that a deployment starts with."""
    fewest: int = deployment.get("autoscaling_config", {}).get("min_replicas") or deployment["num_replicas"]
    return fewest


def main() -> None:
    given = json.load(sys.stdin)
    make_network()
    wanted = sum(  # Ray starts as many processes ahead
        deployment["ray_actor_options"]["num_cpus"] * _fewest(deployment)
        for deployment in given["config"]["applications"][0]["deployments"]
    )
    cluster = RayCluster("a", given["spec"], given["environment"], cpus=math.ceil(wanted))
    workers = [cluster.add_worker()]
    cluster.apply(given["config"])
    cluster.await_running()
    for worker in workers:
        until(lambda worker=worker: cluster.ready(worker), 40, f"ready by KubeRay's probe: {worker.name}")
    headers = {"x-api-key": given["key"]}
    answers, ports = [], []
    ask = {"text": "how long do I have to return shoes?"}
    for worker in workers:
        base = f"http://{worker.address}"
        answers.append(
            until(lambda base=base: _json("POST", f"{base}:8000/v1/queries", headers, ask), 60, "answered")
        )
        pages = {"serve": "8000/readyz", "metrics": "8080/metrics", "proxy-metrics": "9101/metrics",
                 "proxy-stats": "8404/stats"}  # fmt: skip
        ports.append(
            {name: httpx.get(f"{base}:{page}", timeout=60).status_code for name, page in pages.items()}
        )
    unkeyed = httpx.post(f"http://{workers[0].address}:8000/v1/queries", json={"text": "where"}, timeout=60)
    fleet = until(
        lambda: _json("GET", f"http://{workers[0].address}:8000/v1/fleet", headers), 60, "described"
    )
    print(
        json.dumps(
            {
                "answers": answers,
                "ports": ports,
                "unkeyed": unkeyed.status_code,
                "replicas": cluster.replicas(),
                "placement": fleet["placement"],
                "domains": [each["domain"] for each in fleet["domains"]],
            }
        )
    )


if __name__ == "__main__":
    main()
