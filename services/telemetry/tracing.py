"""OpenTelemetry spans of a query's stages. Off until `start`; the extra `otel` installs the libraries.

When off, a span is one shared object that does nothing. Spans of a query are linked by context variables
within a process, and by a W3C `traceparent` from the caller and to a specialist in another process. No span
carries a customer's words, number or name.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from slmfleet.models.errors import SettingsFault

_OFF: Final[AbstractContextManager[Any]] = nullcontext()
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
#: The header that carries the caller's span to the gateway; only services/serve/middleware.py sets it.
TRACEPARENT: Final = b"x-slmfleet-traceparent"
_tracer: Any = None
_provider: Any = None


def start(endpoint: str | None, service: str) -> None:
    """Send spans to an OTLP/HTTP `endpoint` (http://host:4318/v1/traces) from now on; None does nothing.

    Once a process. Raises SettingsFault when the libraries are missing.
    """
    if endpoint is None or _tracer is not None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise SettingsFault(
            f"SLMFLEET_OTLP_ENDPOINT: tracing needs {error.name}: pip install 'slmfleet[otel]'"
        ) from None
    trace_to(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=5)), service)


def trace_to(processor: Any, service: str) -> None:
    """Pass every span to an OpenTelemetry span processor from now on."""
    global _tracer, _provider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    # Not made the global provider: Ray has its own.
    _provider = TracerProvider(resource=Resource.create({"service.name": service}))
    _provider.add_span_processor(processor)
    _tracer = _provider.get_tracer("slmfleet")


def stop() -> None:
    """Make no more spans; those not yet sent are flushed."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None


def span(
    name: str, parent: str | None = None, **attributes: str | float | bool
) -> AbstractContextManager[Any]:
    """A span around a `with` block, child of `parent` (a traceparent) or of the current span."""
    if _tracer is None:
        return _OFF
    started: AbstractContextManager[Any] = _tracer.start_as_current_span(
        name, context=_context(parent), attributes=attributes, record_exception=False
    )
    return started


def note(**attributes: str | float | bool) -> None:
    """Set attributes of the current span."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(attributes)


def traceparent() -> str | None:
    """The current span as a `traceparent` for another process, None when nothing is traced."""
    if _tracer is None:
        return None
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def checked(traceparent: str | None) -> str | None:
    """`traceparent` when it is valid, else None."""
    return traceparent if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) else None


def is_sampled(traceparent: str | None) -> bool:
    """Whether `traceparent` is valid and its trace is recorded by whoever began it."""
    return checked(traceparent) is not None and bool(int((traceparent or "")[-2:], 16) & 1)


def _context(parent: str | None) -> Any:
    if checked(parent) is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent or ""})
