"""A span for each run of a request task, where OpenTelemetry is set up."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from offload.inproc.task import RequestTask

try:
    from opentelemetry import propagate, trace
except ImportError:  # it comes with newer releases of FastAPI, and is never needed
    INSTALLED = False
else:
    INSTALLED = True


class Trace:
    """Opens spans below the one that was current where the task was scheduled."""

    def span(self, task: RequestTask[Any]) -> AbstractContextManager[None]:
        """Return a span around one attempt; nothing, if nobody collects spans."""
        if not INSTALLED or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return contextlib.nullcontext()
        return _span(task)


@contextlib.contextmanager
def _span(task: RequestTask[Any]) -> Iterator[None]:
    tracer = trace.get_tracer("offload")
    attributes: dict[str, str | int] = {
        "offload.task.id": task.id,
        "offload.task.mode": str(task.mode),
        "offload.task.attempt": task.attempt,
    }
    above: dict[str, Any] = {}
    if task.options.new_trace:
        scheduled = trace.get_current_span().get_span_context()
        above = {"context": trace.set_span_in_context(trace.INVALID_SPAN)}
        above["links"] = [trace.Link(scheduled)] if scheduled.is_valid else []
    with tracer.start_as_current_span(task.name, attributes=attributes, **above) as span:
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, asyncio.CancelledError)
            span.set_attribute("offload.task.outcome", "cancelled" if stopped else "failed")
            raise
        span.set_attribute("offload.task.outcome", "succeeded")


def carried() -> dict[str, str]:
    """Return the current trace in W3C's words, for a job to carry; empty if there is none."""
    words: dict[str, str] = {}
    if INSTALLED:
        propagate.inject(words)
    return words
