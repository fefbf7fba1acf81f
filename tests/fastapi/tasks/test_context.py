"""What a request task sees of its request: context variables, and the trace."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from fastapi import FastAPI, Request
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import Response

from offload import Queue
from offload.core.retry import RetryPolicy
from offload.fastapi import Tasks, get_tasks
from offload.testing import Harness
from tests.fastapi.tasks.driving import Drive

USER: ContextVar[str] = ContextVar("USER", default="nobody")


@pytest.mark.parametrize("scope", ["async", "thread"])
async def test_c1_a_task_sees_the_variables_as_they_were_where_it_was_scheduled(
    app: FastAPI, drive: Drive, scope: str
) -> None:
    seen: list[tuple[str, str]] = []

    def look(what: str) -> None:
        seen.append((what, USER.get()))

    async def alook(what: str) -> None:
        look(what)

    def schedule(tasks: Tasks) -> None:
        schedulers = {"now": tasks, "route": tasks.after_route, "end": tasks.after_response}
        for name, scheduler in schedulers.items():
            USER.set(f"{name} user")
            scheduler.schedule(look, name)
            scheduler.schedule(alook, name)
        USER.set("in order")
        tasks.add_task(look, "added")
        USER.set("somebody else")

    @app.get("/async")
    async def endpoint(tasks: Tasks) -> None:
        schedule(tasks)

    @app.get("/thread")
    def threaded(tasks: Tasks) -> None:
        schedule(tasks)

    await drive.get(f"/{scope}")
    expected = [(name, f"{name} user") for name in ("now", "route", "end")] * 2
    assert sorted(seen) == sorted([*expected, ("added", "in order")])


async def test_c1_each_attempt_and_the_handler_see_them(app: FastAPI, drive: Drive) -> None:
    seen: list[str] = []

    async def fail() -> None:
        seen.append(USER.get())
        USER.set("changed by an attempt")
        raise ValueError

    def handler(*_: object) -> None:
        seen.append(USER.get())

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        USER.set("ann")
        policy = RetryPolicy(max_retries=1, delays=(0,))
        tasks.task(retry=policy, on_error=handler).schedule(fail)
        USER.set("bob")

    await drive.get()
    assert seen == ["ann", "ann", "changed by an attempt"]


async def test_c1_what_a_middleware_has_set_is_seen(app: FastAPI, drive: Drive) -> None:
    seen: list[str] = []

    class Identify(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            USER.set("identified")
            return await call_next(request)

    app.add_middleware(Identify)

    @app.get("/")
    def endpoint(tasks: Tasks) -> None:
        for scheduler in (tasks, tasks.after_route, tasks.after_response):
            scheduler.schedule(lambda: seen.append(USER.get()))

    await drive.get()
    assert seen == ["identified"] * 3


async def test_c2_what_a_task_sets_does_not_leak(app: FastAPI, drive: Drive) -> None:
    seen: list[str] = []

    async def change() -> None:
        USER.set("changed")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        USER.set("ann")
        task = tasks.schedule(change)
        await task.wait()
        seen.append(USER.get())
        tasks.schedule(USER.set, "changed in a thread")
        tasks.after_response.schedule(lambda: seen.append(USER.get()))

    await drive.get()
    assert seen == ["ann", "ann"]


# ----------------------------------------------------------------------------------- traces


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """Collect the spans of this process; OpenTelemetry takes a provider once."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def traced(app: FastAPI, drive: Drive, **options: Any) -> None:
    async def work(*, fails: bool) -> None:
        if fails:
            raise ValueError("no")

    @app.get("/")
    async def endpoint(tasks: Tasks, *, fails: bool = False) -> None:
        with trace.get_tracer("test").start_as_current_span("inside"):
            tasks.task(name="now", **options).schedule(work, fails=fails)
            tasks.after_response.task(name="after", **options).schedule(work, fails=fails)
            tasks.task(name="thread", **options).schedule(int)


async def test_c3_a_run_is_a_span_below_the_one_where_it_was_scheduled(
    app: FastAPI, drive: Drive, spans: InMemorySpanExporter
) -> None:
    traced(app, drive)
    await drive.get()
    [inside] = named(spans, "inside")
    assert inside.context is not None
    for name, mode in (("now", "now"), ("after", "after_response"), ("thread", "now")):
        [span] = named(spans, name)
        assert span.parent is not None
        assert span.parent.span_id == inside.context.span_id
        [task] = [task for task in get_tasks(app).all() if task.name == name]
        assert span.attributes == {
            "offload.task.id": task.id,
            "offload.task.mode": mode,
            "offload.task.attempt": 1,
            "offload.task.outcome": "succeeded",
        }


async def test_c3_a_new_trace_is_linked_to_the_request(
    app: FastAPI, drive: Drive, spans: InMemorySpanExporter
) -> None:
    traced(app, drive, new_trace=True)
    await drive.get()
    [inside] = named(spans, "inside")
    [span] = named(spans, "after")
    assert inside.context is not None
    assert span.context is not None
    assert span.parent is None
    assert span.context.trace_id != inside.context.trace_id
    assert [link.context.span_id for link in span.links] == [inside.context.span_id]


async def test_c3_each_attempt_is_a_span_and_says_how_it_ended(
    app: FastAPI, drive: Drive, spans: InMemorySpanExporter
) -> None:
    traced(app, drive, retry=RetryPolicy(max_retries=1, delays=(0,)))
    await drive.get("/?fails=true")
    runs = named(spans, "now")
    said = [dict(span.attributes or {}) for span in runs]
    assert [each["offload.task.attempt"] for each in said] == [1, 2]
    assert {each["offload.task.outcome"] for each in said} == {"failed"}
    assert "exception" in [event.name for event in runs[0].events]


async def test_c3_a_run_that_was_cancelled_says_so(
    app: FastAPI, drive: Drive, spans: InMemorySpanExporter
) -> None:
    async def cancels() -> None:
        raise asyncio.CancelledError

    await get_tasks(app).task(name="stopped").schedule(cancels).wait(10)
    [span] = named(spans, "stopped")
    assert (span.attributes or {})["offload.task.outcome"] == "cancelled"


async def test_c3_a_job_carries_the_trace(
    app: FastAPI, drive: Drive, spans: InMemorySpanExporter
) -> None:
    queue = Queue("memory://")

    @queue.task
    def work() -> None: ...

    @app.get("/")
    async def endpoint(tasks: Tasks) -> str | None:
        with trace.get_tracer("test").start_as_current_span("inside"):
            return tasks.schedule(work).job_id

    async with Harness(queue):
        job_id = (await drive.get()).json()
        job = await queue.aget_job(job_id)
    [inside] = named(spans, "inside")
    assert job is not None
    assert inside.context is not None
    ids = f"{inside.context.trace_id:032x}-{inside.context.span_id:016x}"
    assert str((job.metadata or {})["traceparent"]).startswith(f"00-{ids}-")


def test_c4_it_works_without_opentelemetry() -> None:
    """Run in a process in which the package cannot be imported."""
    code = """
import asyncio, sys
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from offload.inproc import tracing
from offload.inproc.app import AppTasks
async def main():
    task = AppTasks().schedule(max, 1, 2)
    print(await task.wait(), task.result, tracing.INSTALLED, tracing.carried())
asyncio.run(main())
"""
    program = [sys.executable, "-c", code]
    out = subprocess.run(program, capture_output=True, text=True, check=True)
    assert out.stdout == "succeeded 2 False {}\n"


def test_c4_without_a_provider_there_is_no_span() -> None:
    code = """
import asyncio
from opentelemetry import trace
from offload.inproc import tracing
from offload.inproc.app import AppTasks
async def main():
    task = AppTasks().schedule(lambda: trace.get_current_span().is_recording())
    print(await task.wait(), task.result, tracing.INSTALLED, tracing.carried())
asyncio.run(main())
"""
    program = [sys.executable, "-c", code]
    out = subprocess.run(program, capture_output=True, text=True, check=True)
    assert out.stdout == "succeeded False True {}\n"


def test_c4_who_begins_to_collect_spans_is_noticed_within_a_second() -> None:
    """Run in a process of its own, in which no provider is set yet."""
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from offload.inproc.tracing import Collecting
times = iter([0.0, 0.9, 1.0])
is_traced = Collecting(lambda: next(times))
said = [is_traced()]
trace.set_tracer_provider(TracerProvider())
print(*said, is_traced(), is_traced(), is_traced())
"""
    program = [sys.executable, "-c", code]
    out = subprocess.run(program, capture_output=True, text=True, check=True)
    assert out.stdout == "False False True True\n"
