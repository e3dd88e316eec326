"""Deploys a rendered RayService's serveConfigV2 on a cluster of its own and asks the fleet; prints JSON.

stdin: {"spec": of the RayService, "config": its parsed serveConfigV2, "environment": {}, "key": an API key}
"""

from __future__ import annotations

import json
import sys

import httpx
from deploy.cluster import RayCluster
from deploy.nodes import make_network, until


def main() -> None:
    given = json.load(sys.stdin)
    make_network()
    cluster = RayCluster("a", given["spec"], given["environment"], cpus=8)
    workers = [cluster.add_worker()]
    cluster.apply(given["config"])
    cluster.await_running(400)
    for worker in workers:
        until(lambda worker=worker: cluster.ready(worker), 40, f"ready by KubeRay's probe: {worker.name}")
    headers = {"x-api-key": given["key"]}
    answers, ports = [], []
    for worker in workers:
        base = f"http://{worker.address}"
        asked = {"text": "how long do I have to return shoes?"}
        answers.append(httpx.post(f"{base}:8000/v1/queries", json=asked, headers=headers, timeout=30).json())
        pages = {"serve": "8000/readyz", "metrics": "8080/metrics", "proxy-metrics": "9101/metrics",
                 "proxy-stats": "8404/stats"}  # fmt: skip
        ports.append({name: httpx.get(f"{base}:{page}", timeout=10).status_code for name, page in pages.items()})
    unkeyed = httpx.post(f"http://{workers[0].address}:8000/v1/queries", json={"text": "where"}, timeout=30)
    fleet = httpx.get(f"http://{workers[0].address}:8000/v1/fleet", headers=headers, timeout=30).json()
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
