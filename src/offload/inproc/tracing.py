"""A span for each run of a request task, where OpenTelemetry is set up."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from offload.inproc.task import RequestTask

try:
    from opentelemetry import propagate, trace
except ImportError:  # it comes with newer releases of FastAPI, and is never needed
    INSTALLED = False
else:
    INSTALLED = True


def is_on() -> bool:
    """Whether anybody collects spans."""
    return INSTALLED and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextlib.contextmanager
def span(task: RequestTask[Any]) -> Iterator[None]:
    """Open a span around one attempt, below the one that was current where it was scheduled."""
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
    with tracer.start_as_current_span(task.name, attributes=attributes, **above) as opened:
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, asyncio.CancelledError)
            opened.set_attribute("offload.task.outcome", "cancelled" if stopped else "failed")
            raise
        opened.set_attribute("offload.task.outcome", "succeeded")


def carried() -> dict[str, str]:
    """Return the current trace in W3C's words, for a job to carry; empty if there is none."""
    words: dict[str, str] = {}
    if INSTALLED:
        propagate.inject(words)
    return words
