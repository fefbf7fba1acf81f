"""Numbers in the text format of Prometheus.

Gauges are read from the queue, so every process gives the same; counters are of this
process alone, which is how they are collected.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imaging.jobs import queue

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Labels = tuple[tuple[str, str], ...]


class Requests:
    """A pure ASGI middleware that counts the requests of this process, and their seconds."""

    counts: ClassVar[defaultdict[_Labels, float]] = defaultdict(float)
    seconds: ClassVar[defaultdict[_Labels, float]] = defaultdict(float)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, and note how it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        begun = time.perf_counter()
        try:
            await self.app(scope, receive, noted)
        finally:
            route = ("route", _route(scope))
            self.counts[("method", scope["method"]), route, ("status", str(status))] += 1
            self.seconds[(route,)] += time.perf_counter() - begun


async def text() -> str:
    """Write all numbers down."""
    stats, rows = await queue.astats(), await queue.aqueues()
    workers = await queue.alist_workers()
    states = _by("status", stats)
    waiting = _by("queue", {row.name: row.pending for row in rows})
    running = _by("queue", {row.name: row.running for row in rows})
    alive: dict[_Labels, float] = {(): sum(worker.alive for worker in workers)}
    parts = (
        _metric("imaging_jobs", "gauge", "Jobs that the queue holds.", states),
        _metric("imaging_queue_pending", "gauge", "Jobs that wait.", waiting),
        _metric("imaging_queue_running", "gauge", "Jobs that run.", running),
        _metric("imaging_workers_alive", "gauge", "Workers that are alive.", alive),
        _metric(
            "imaging_http_requests_total", "counter", "Requests of this process.", Requests.counts
        ),
        _metric(
            "imaging_http_request_seconds_total", "counter", "How long they took.", Requests.seconds
        ),
    )
    return "".join(f"{line}\n" for part in parts for line in part)


def _by(label: str, counts: Mapping[str, float]) -> dict[_Labels, float]:
    return {((label, name),): count for name, count in counts.items()}


def _metric(name: str, kind: str, help_text: str, values: Mapping[_Labels, float]) -> Iterable[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in sorted(values.items()):
        said = ",".join(f'{label}="{text}"' for label, text in labels)
        yield f"{name}{{{said}}} {value:.15g}" if said else f"{name} {value:.15g}"


def _route(scope: Scope) -> str:
    # The pattern, never the path: there is one for each id.
    return str(getattr(scope.get("route"), "path", "other"))
