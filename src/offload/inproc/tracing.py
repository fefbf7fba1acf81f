"""A span for each run of a request task, where OpenTelemetry is set up."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from typing import Any

from offload.inproc.task import RequestTask

try:
    from opentelemetry import propagate, trace
except ImportError:  # it comes with newer releases of FastAPI, and is never needed
    INSTALLED = False
else:
    INSTALLED = True

ASK_EVERY = 1.0
"""Seconds for which it holds that nobody collects spans."""


class Collecting:
    """Knows whether anybody collects spans."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Have not asked yet; `clock` gives seconds."""
        self._clock = clock
        self._asks_at = -inf
        self._answer = False

    def __call__(self) -> bool:
        """Return whether anybody does; who begins to is noticed within a second."""
        # The question looks into the environment, which is dear where most runs are short.
        if INSTALLED and not self._answer and (instant := self._clock()) >= self._asks_at:
            provider = trace.get_tracer_provider()
            self._answer = not isinstance(provider, trace.ProxyTracerProvider)
            self._asks_at = instant + ASK_EVERY
        return self._answer


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
