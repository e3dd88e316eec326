"""The fleet on a real Ray cluster, behind a real HAProxy, with models that count words."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.processes import of_process
from fakes.serving import WordParts, write_word_shop
from fakes.waiting import until

from connected.conftest import Cluster, Deployed
from slmfleet.models.errors import SettingsFault
from slmfleet.services.settings import Settings

pytestmark = pytest.mark.connected
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module", params=["colocated", "split"])
def shop(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Deployed]:
    with cluster.shop(str(request.param), WordParts(slow_s=0.3), placement=request.param) as deployed:
        yield deployed


async def _ask_at_once(shop: Deployed, texts: list[str]) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=len(texts))
    async with httpx.AsyncClient(base_url=shop.url, timeout=30, limits=limits) as client:
        return await asyncio.gather(*(client.post("/v1/queries", json={"text": text}) for text in texts))


def test_both_placements_answer_the_same(shop: Deployed) -> None:
    answer = shop.ask(
        "where is my parcel and can i return it", headers={"authorization": "Bearer token-of-alice"}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["text"] == "About track, alice. About how, alice."
    assert [(part["domain"], part["intent"]) for part in body["parts"]] == [
        ("shipping", "track"),
        ("returns", "how"),
    ]
    batch = shop.client.post(
        "/v1/queries:batch", json={"queries": [{"text": "where"}, {"text": "blah"}] * 20}
    )
    assert [it["status"] for it in batch.json()["answers"]] == ["answered", "handed_off"] * 20
    fleet = shop.client.get("/v1/fleet").json()
    assert fleet["placement"] == shop.settings.placement
    assert [it["domain"] for it in fleet["domains"]] == ["shipping", "returns"]
    assert shop.client.get("/readyz").json()["checks"] == {"router": "ok", "shipping": "ok", "returns": "ok"}


def test_an_explanation_comes_from_wherever_the_specialist_is(shop: Deployed) -> None:
    asked = {"text": "track it fast", "explain": True}
    told = shop.client.post("/v1/queries", json=asked).json()["explanation"]
    assert told["route"]["label"] == "shipping"
    assert [(part["domain"], part["label"]) for part in told["parts"]] == [("shipping", "track")]
    assert told["parts"][0]["flip"] == {"removed": ["track"], "becomes": "speed", "confidence": 0.8}
    assert told["parts"][0]["nearest"][0]["text"] == "a row about track"
    assert shop.ask("track it fast").json()["explanation"] is None


def test_refusals_arrive_whole(shop: Deployed) -> None:
    big = shop.client.post("/v1/queries", content=b" " * 10_000_000, headers=JSON)
    assert (big.status_code, big.json()["type"]) == (413, "urn:slmfleet:problem:too-large")
    wrong = shop.client.post("/v1/queries", content=b'{"text": "\xff"}', headers=JSON)
    assert (wrong.status_code, wrong.headers["content-type"]) == (400, "application/problem+json")
    broken = shop.ask("explode where")
    assert (broken.status_code, broken.headers["retry-after"]) == (503, "5")
    assert "secret" not in broken.text
    assert shop.ask("where").status_code == 200


def test_a_request_has_one_id_whatever_it_came_with(shop: Deployed) -> None:
    kept = shop.client.get("/healthz", headers={"x-request-id": "trace-1"})
    assert kept.headers.get_list("x-request-id") == ["trace-1"]
    for odd in (b"\xff\xfe", b"a b", b"x" * 500):
        made = shop.client.get("/nowhere", headers=[(b"x-request-id", odd)])
        assert made.headers.get_list("x-request-id") == [made.json()["request_id"]]
    orders = [
        (b"x-session-id", b"\xff"),
        (b"x-request-timeout-seconds", b"0.000001"),
        (b"traceparent", b"\xff"),
    ]
    assert shop.client.get("/healthz", headers=orders).status_code == 200


def test_under_load_every_request_is_answered(shop: Deployed) -> None:
    texts = [f"where is parcel {number}" if number % 3 else f"return {number}" for number in range(200)]
    responses = asyncio.run(_ask_at_once(shop, texts))
    assert {response.status_code for response in responses} == {200}
    for text, response in zip(texts, responses, strict=True):
        assert response.json()["parts"][0]["intent"] == ("how" if text.startswith("return") else "track")


def test_no_process_of_the_cluster_has_loaded_torch(shop: Deployed) -> None:
    processes = list(_descendants(os.getpid()))
    maps = {pid: of_process(pid, "maps").decode() for pid in processes}
    replicas = [pid for pid in processes if b"ServeReplica" in of_process(pid, "cmdline")]
    assert len(replicas) >= (1 if shop.settings.placement == "colocated" else 3)
    assert all("_raylet" in maps[pid] for pid in replicas)  # so the maps were readable
    assert [pid for pid, text in maps.items() if "torch" in text or "transformers" in text] == []


def test_a_stranger_cannot_call_a_replica(shop: Deployed) -> None:
    import grpc

    ports = _listening_ports(_replica_pids(shop))  # on all interfaces, whatever the host
    assert ports
    for port in ports:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/ray.serve.ASGIService/HandleRequest")
            with pytest.raises(grpc.RpcError) as error:
                call(b"", timeout=2)
            assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("placement", ["colocated", "split"])
def test_too_much_is_refused_with_a_time_to_come_back_and_nothing_is_lost(
    cluster: Cluster, placement: str
) -> None:
    limits: dict[str, Any] = {"max_ongoing_requests": 2, "max_queued_requests": 4}
    with cluster.shop(f"narrow-{placement}", WordParts(slow_s=0.2), placement=placement, **limits) as shop:
        responses = asyncio.run(_ask_at_once(shop, ["slowly where"] * 30))
        statuses = [response.status_code for response in responses]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 6
        for response in responses:
            if response.status_code == 429:
                assert int(response.headers["retry-after"]) >= 1
                assert response.json()["type"] == "urn:slmfleet:problem:overloaded"
        assert shop.ask("where").status_code == 200


@pytest.mark.parametrize("placement", ["colocated", "split"])
def test_a_slow_model_is_408_at_the_deadline_and_the_next_is_answered(
    cluster: Cluster, placement: str
) -> None:
    parts = WordParts(slow_s=1.5)
    with cluster.shop(f"slow-{placement}", parts, placement=placement, request_timeout_s=0.4) as shop:
        started = time.monotonic()
        late = shop.ask("slowly where")
        assert 0.3 < time.monotonic() - started < 1.2
        assert (late.status_code, late.json()["type"]) == (408, "urn:slmfleet:problem:deadline-exceeded")
        assert shop.client.get("/healthz").status_code == 200
        until(lambda: shop.ask("where").status_code == 200)


def test_a_broken_model_is_named_restarted_and_leaves_the_others_answering(cluster: Cluster) -> None:
    with cluster.shop("breaking", placement="split") as shop:
        broken = shop.folder / "returns.broken"
        broken.touch()
        ready = shop.client.get("/readyz")
        assert ready.status_code == 503
        assert "answers its probe wrongly" in ready.json()["checks"]["returns"]
        assert ready.json()["checks"]["shipping"] == "ok"
        until(lambda: cluster.health(shop, "specialist-returns") != "HEALTHY")
        assert shop.ask("where is my parcel").status_code == 200
        assert cluster.health(shop, "gateway") == "HEALTHY"
        broken.unlink()
        until(lambda: cluster.health(shop, "specialist-returns") == "HEALTHY", 40)
        until(lambda: shop.client.get("/readyz").status_code == 200)


def test_a_gateway_whose_own_model_breaks_is_unhealthy(cluster: Cluster) -> None:
    with cluster.shop("broken-gateway") as shop:
        (shop.folder / "shipping.broken").touch()
        until(lambda: cluster.health(shop, "gateway") != "HEALTHY")


@pytest.mark.parametrize("placement", ["colocated", "split"])
def test_another_revision_is_loaded_without_a_restart_or_a_lost_request(
    cluster: Cluster, placement: str
) -> None:
    with cluster.configured_shop(f"reloading-{placement}", placement) as shop:
        before = _replica_pids(shop)
        (shop.folder / "version").write_text("abcabcabcabc")
        with _asking(shop) as statuses:
            cluster.announce(shop, placement, "1")
            until(lambda: _versions(shop) == {"abcabcabcabc"})
        assert set(statuses) == {200}
        assert _replica_pids(shop) == before
        (shop.folder / "returns.unloadable").touch()
        cluster.announce(shop, placement, "2")
        if placement == "colocated":
            until(lambda: "reload" in shop.client.get("/readyz").json()["checks"])
        assert _versions(shop) == {"abcabcabcabc"}
        assert shop.ask("can i return it").status_code == 200
        if placement == "colocated":
            ready = shop.client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "ok")
            assert "revision 2" in ready.json()["checks"]["reload"]


def test_another_deployment_takes_over_without_a_lost_request(cluster: Cluster) -> None:
    with cluster.shop("taken-over") as shop:
        before = _replica_pids(shop)
        with _asking(shop) as statuses:
            cluster.deploy(shop)
            until(lambda: not before & _replica_pids(shop))
        assert len(statuses) > 10
        assert set(statuses) == {200}


def test_what_is_in_flight_is_finished_at_the_end(cluster: Cluster) -> None:
    answers: list[httpx.Response] = []
    with cluster.shop("ending", WordParts(slow_s=1.5), placement="split") as shop:
        asking = threading.Thread(target=lambda: answers.append(shop.ask("slowly where")))
        asking.start()
        time.sleep(0.4)
        cluster.serve.delete("ending")
        asking.join()
    assert [answer.status_code for answer in answers] == [200]


def test_a_bundle_that_cannot_be_loaded_is_told_in_its_own_words(cluster: Cluster) -> None:
    from slmfleet.services.serve.up import error_messages

    folder = cluster.folder / "unloadable"
    settings = Settings(fleet_dir=write_word_shop(folder), state_dir=folder)
    words = cluster.app.run(settings, WordParts(unloadable="returns"))
    cluster.serve.delete("slmfleet")
    assert (
        error_messages(words)
        == "returns/bundle/bundle.json: there is no bundle; make one with `slmfleet train`"
    )


def test_deployed_within_reach_of_others_it_wants_keys(cluster: Cluster) -> None:
    with pytest.raises(SettingsFault, match="SLMFLEET_API_KEYS"):
        cluster.app.fleet(Settings())


@contextmanager
def _asking(shop: Deployed) -> Iterator[list[int]]:
    """Someone who asks one question after the other; the statuses of the answers.

    HAProxy reloads when replicas come and go, and closes kept connections as it does; a request that crosses
    the closing on its way gets no response. One retry heals that, and only that: a second one fails the test.
    """
    statuses: list[int] = []
    done = threading.Event()

    def ask(client: httpx.Client) -> int:
        try:
            return client.post("/v1/queries", json={"text": "where"}).status_code
        except httpx.RemoteProtocolError:
            return client.post("/v1/queries", json={"text": "where"}).status_code

    def keep_asking() -> None:
        with httpx.Client(base_url=shop.url, timeout=20) as client:
            while not done.is_set():
                statuses.append(ask(client))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        yield statuses
    finally:
        done.set()
        asking.join()


def _versions(shop: Deployed) -> set[str]:
    return {it["version"] for it in shop.client.get("/v1/fleet").json()["domains"]}


def _replica_pids(shop: Deployed) -> set[int]:
    name = f"ServeReplica:{shop.name}:".encode()
    return {pid for pid in _descendants(os.getpid()) if name in of_process(pid, "cmdline")}


def _descendants(root: int) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        after_name = of_process(int(folder.name), "stat").decode().rpartition(")")[2].split()
        if after_name:
            parents.setdefault(int(after_name[1]), []).append(int(folder.name))
    waiting = parents.get(root, [])
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += parents.get(pid, [])


def _listening_ports(pids: set[int]) -> set[int]:
    """TCP ports that these processes listen on at all interfaces."""
    inodes: set[str] = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == "0A" and set(address) == {"0"} and fields[9] in inodes:
                ports.add(int(port, 16))
    return ports
