"""Spans of a query: who is whose parent, across threads and processes, and nothing personal in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from fakes.collector import collecting
from fakes.events import gateway
from fakes.serving import WordParts
from fakes.shop import Shop

from slmfleet.models.contracts import Answer
from slmfleet.services.events.answerer import PipelineClient, QueryClient, Request
from slmfleet.services.events.cloudevents import QueryData
from slmfleet.services.pipeline.guarded_specialist import GuardedSpecialist, SpecialistRequest
from slmfleet.services.serve.middleware import HeaderSanitizer
from slmfleet.services.telemetry import tracing
from slmfleet.services.telemetry.tracing import TRACEPARENT

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.trace_to(SimpleSpanProcessor(exporter), "test")
    yield exporter
    tracing.stop()


def test_off_it_is_one_object_that_does_nothing() -> None:
    assert isinstance(tracing.span("query"), nullcontext)
    assert tracing.span("a") is tracing.span("b", CALLER, domain="x")
    assert tracing.traceparent() is None
    tracing.note(domain="x")


async def test_a_query_is_one_tree_below_its_caller(shop: Shop, spans: InMemorySpanExporter) -> None:
    await shop.ask("where is my parcel and can i return it", headers={"traceparent": CALLER})
    found = spans.get_finished_spans()
    [root] = [span for span in found if span.name == "request"]
    assert f"{root.context.trace_id:032x}" == CALLER.split("-")[1]
    assert f"{root.parent.span_id:016x}" == CALLER.split("-")[2]
    assert {span.context.trace_id for span in found} == {root.context.trace_id}
    below = [span for span in found if span.parent.span_id == root.context.span_id]
    assert sorted(span.name for span in below) == ["reply", "router", "specialist", "specialist"]
    assert {span.attributes["domain"] for span in below if span.name == "specialist"} == {
        "shipping",
        "returns",
    }
    assert root.attributes["outcome"] == "answered"


async def test_no_span_says_what_was_asked_or_by_whom(shop: Shop, spans: InMemorySpanExporter) -> None:
    await shop.ask("where is parcel #W1234567", headers={"authorization": "Bearer token-of-alice"})
    await shop.ask("explode where #W1234567")
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "request" in told
    for secret in ("W1234567", "alice", "parcel", "secret"):
        assert secret not in told


def test_the_span_goes_on_in_the_process_of_the_specialist(spans: InMemorySpanExporter) -> None:
    class Silent:
        def probe(self) -> None: ...

        def read(self, text: str) -> Any:
            raise RuntimeError

        explain = read

    GuardedSpecialist("shipping", Silent()).read_all(
        [SpecialistRequest("where", traceparent=CALLER), SpecialistRequest("where")]
    )
    first, second = spans.get_finished_spans()
    assert f"{first.context.trace_id:032x}" == CALLER.split("-")[1]
    assert second.parent is None


@pytest.mark.parametrize(
    "sent",
    ["", "x", CALLER + "0", CALLER.upper(), CALLER.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)],
)
async def test_what_is_no_traceparent_starts_a_trace_of_its_own(
    shop: Shop, spans: InMemorySpanExporter, sent: str
) -> None:
    assert (await shop.ask("where", headers={"traceparent": sent})).status_code == 200
    [root] = [span for span in spans.get_finished_spans() if span.name == "request"]
    assert root.parent is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([(b"traceparent", CALLER.encode())], [CALLER.encode()]),
        ([(b"traceparent", CALLER.encode())] * 2, []),
        ([(b"traceparent", b"\xff")], []),
        ([(TRACEPARENT, CALLER.encode())], []),
    ],
)
async def test_serve_never_sees_a_traceparent_and_the_gateway_only_a_good_one(
    sent: list[tuple[bytes, bytes]], kept: list[bytes]
) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])

    await HeaderSanitizer(app)({"type": "http", "headers": sent}, None, None)  # type: ignore[arg-type]
    assert [value for name, value in seen if name == TRACEPARENT] == kept
    assert b"traceparent" not in [name for name, _ in seen]


def test_spans_leave_by_otlp() -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed")
    with collecting() as collector:
        tracing.start(collector.endpoint, "slmfleet-test")
        with tracing.span("request"):
            pass
        tracing.stop()
        assert [(service, span.name) for service, span in collector.spans()] == [("slmfleet-test", "request")]


OTHER = "00-11112222333344445555666677778888-1111222233334444-01"


@pytest.mark.parametrize("by", ["gateway", "process"])
async def test_events_of_one_batch_stay_each_in_its_own_trace(
    shop: Shop, spans: InMemorySpanExporter, by: str
) -> None:
    answerer: QueryClient = gateway(shop)
    if by == "process":
        answerer = PipelineClient(lambda: shop.loaded, WordParts().customer_of(shop.settings))
    asked = [Request(QueryData(text="where is my parcel"), trace) for trace in (CALLER, OTHER, None)]
    answers = await answerer.answer_all(asked)
    assert {answer.status for answer in answers if isinstance(answer, Answer)} == {"answered"}
    found = spans.get_finished_spans()
    for trace in (CALLER, OTHER):
        _, trace_id, parent, _ = trace.split("-")
        mine = [span for span in found if f"{span.context.trace_id:032x}" == trace_id]
        assert {"router", "specialist", "reply"} <= {span.name for span in mine}
        assert f"{parent}" in {f"{span.parent.span_id:016x}" for span in mine}


@pytest.mark.parametrize(
    ("given", "sampled"), [(CALLER, True), (CALLER[:-2] + "00", False), ("nonsense", False), (None, False)]
)
def test_what_nobody_records_is_not_taken_for_traced(given: str | None, sampled: bool) -> None:
    assert tracing.is_sampled(given) is sampled
