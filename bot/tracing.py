"""Traces through the programs: one per turn, from the gateway over the dialogue and the actions to the order API.

The gateway puts a W3C `traceparent` into a turn's metadata; whoever works on that turn joins it. Without
`telemetry.otlp_endpoint` nothing is measured and nothing is imported. Spans hold ids and codes, never words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bot.exceptions import SettingsError

_tracer: Any = None
_provider: Any = None


def start(service: str, endpoint: str | None) -> None:
    """Send this process's spans as `service` to an OTLP endpoint; does nothing without one, and once per process.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    global _tracer, _provider
    if endpoint is None or _tracer is not None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as exc:
        raise SettingsError(
            "telemetry.otlp_endpoint is set and OpenTelemetry is not installed: install kefu[telemetry]"
        ) from exc
    _provider = TracerProvider(resource=Resource.create({"service.name": service}))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    _tracer = _provider.get_tracer("kefu")


def use(tracer: Any) -> None:
    """Put this tracer in the place of the process's own (tests), or forget it (None)."""
    global _tracer
    _tracer = tracer


def stop() -> None:
    """Send what is waiting, and end."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None


@contextmanager
def span(name: str, parent: str | None = None, **attributes: str) -> Iterator[Any]:
    """A span around a piece of work, under `parent` (a traceparent) or the span it runs in; None when off."""
    if _tracer is None:
        yield None
        return
    named = {f"kefu.{key}": value for key, value in attributes.items()}
    # What an exception says may quote a shopper, so its words stay out.
    quiet = {"record_exception": False, "set_status_on_exception": False}
    with _tracer.start_as_current_span(name, context=_context(parent), attributes=named, **quiet) as made:
        yield made


def traceparent() -> str | None:
    """The present span, as it travels between programs."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def join(parent: Any) -> None:
    """Work of this task belongs to that trace from now on."""
    if _tracer is None or not isinstance(parent, str):
        return
    from opentelemetry import context

    joined = _context(parent)
    if joined is not None:
        context.attach(joined)


def _context(parent: str | None) -> Any:
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent})
