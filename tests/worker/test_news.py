"""What a function says while it runs: kept in order, before its end, and never without bound."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from offload import JobDead, JobFailed, PayloadTooLarge, Queue, StoreUnavailable, current_job
from offload.core.job import NewJob
from offload.core.records import Finish, LogLine, Report
from offload.core.states import Move
from offload.store.base import Beat, RecordFilter
from offload.store.memory import MemoryStore
from offload.tasks.context import MOST_LINES
from offload.worker.progress import Progress
from offload.worker.report import from_wire, to_wire
from tests.worker.staging import Stage, logs_of, parts_of, working

MANY = 10_000


@pytest.mark.parametrize("executor", ["async", "thread", "process"])
async def test_all_that_was_said_is_there_before_the_end(
    app: Any, executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = app.queue.store.finish
    there: list[int] = []

    async def finish(finishes: Sequence[Finish]) -> list[bool]:
        [end] = finishes
        there.append(len(await app.queue.store.parts(end.job_id, 0, 2 * MANY)))
        return list(await real(finishes))

    monkeypatch.setattr(app.queue.store, "finish", finish)
    async with working(app.queue):
        job = await app.TASKS[executor].adelay("tell")
        await job.aresult(timeout=30)
        assert there == [MANY]
        assert await parts_of(app.queue, job.id) == [(n, "é") for n in range(MANY)]
    lines = await logs_of(app.queue, job.id)
    expected = [LogLine("debug", f"line {n}", {"n": n}) for n in range(MOST_LINES - 1)]
    assert lines[:-1] == expected
    stored = (await job.arefresh()).job
    assert (stored.message, stored.data) == ("all told", b'{"told":10000}')


async def test_a_process_that_dies_has_said_its_last_words(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await app.in_process.adelay("last words")
        with pytest.raises(JobDead, match="exit code 7"):
            await job.aresult(timeout=30)
    assert len(await parts_of(app.queue, job.id)) == 100
    assert len(await logs_of(app.queue, job.id)) == 100
    assert (await job.arefresh()).job.message == "all told"


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_a_log_without_end_is_cut_with_a_note(queue: Queue, executor: str) -> None:
    def flood() -> str:
        for _ in range(3 * MOST_LINES):
            current_job.log("again")
        return "done"

    async def aflood() -> str:
        return flood()

    task: Any = queue.task(name="flood")(aflood if executor == "async" else flood)
    async with working(queue):
        job = await task.adelay()
        assert await job.aresult(timeout=30) == "done"
    *lines, note = await logs_of(queue, job.id)
    assert lines == [LogLine("info", "again")] * (MOST_LINES - 1)
    assert note == LogLine("warning", "no more lines are kept of this run: it has logged 10,000")


async def test_who_says_nothing_pays_nothing(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    async def report(reports: Sequence[Report]) -> list[bool]:
        raise AssertionError(f"nobody has said {reports}")

    monkeypatch.setattr(queue.store, "report", report)

    @queue.task
    def silent() -> None: ...

    async with working(queue) as work:
        for job in await silent.amap([()] * 50):
            await job.aresult(timeout=30)
        assert not work.task.done()


async def test_texts_and_data_that_are_too_long(queue: Queue) -> None:
    @queue.task
    def tell() -> str:
        current_job.log("x" * 100_000, data="y" * 100_000)
        current_job.log("odd \ud800 \0", "error", when={1, 2}, other=object)
        current_job.update_progress(1, "m" * 100_000)
        with pytest.raises(PayloadTooLarge, match="16,384"):
            current_job.update_progress(2, data=["z" * 20_000])
        with pytest.raises(PayloadTooLarge, match="reference"):
            current_job.publish("p" * 2_000_000)
        with pytest.raises(ValueError, match="debug, info"):
            current_job.log("hello", "loud")
        return "told"

    async with working(queue):
        job = await tell.adelay()
        assert await job.aresult(timeout=30) == "told"
    long, odd = await logs_of(queue, job.id)
    assert long.message == "x" * 4_000
    assert long.extra is not None
    assert set(long.extra) == {"left_out"}
    assert odd == LogLine("error", "odd \\ud800 \\x00", {"when": [1, 2], "other": str(object)})
    assert (await job.arefresh()).job.message == "m" * 4_000
    assert await parts_of(queue, job.id) == []


class Point(BaseModel):
    """A model that a task publishes."""

    x: int


async def test_what_is_published_travels_as_results_do(queue: Queue) -> None:
    @queue.task
    def tell() -> None:
        for value in (None, (1, b"2"), {"a": {3}}, Point(x=4), {"b": [5.5]}):
            current_job.publish(value)

    @queue.task(max_retries=5)
    def odd() -> None:
        current_job.publish(object())

    async with working(queue):
        job = await tell.adelay()
        await job.aresult(timeout=30)
        refused = await odd.adelay()
        with pytest.raises(JobFailed, match="PayloadError: what was published: object cannot be"):
            await refused.aresult(timeout=30)
    assert await parts_of(queue, job.id) == [None, (1, b"2"), {"a": {3}}, {"x": 4}, {"b": [5.5]}]


async def test_what_comes_after_the_end_is_not_heard(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that was cut off talks on."""
    monkeypatch.setattr("offload.worker.worker.HARD_AFTER", 0.05)
    release, said = threading.Event(), threading.Event()

    @queue.task(timeout=0.05)
    def deaf() -> None:
        current_job.publish("in time")
        release.wait(30)
        current_job.publish("too late")
        current_job.log("too late")
        current_job.update_progress(77)
        said.set()

    @queue.task
    def after() -> None:
        current_job.publish("after")

    async with working(queue):
        job = await deaf.adelay()
        with pytest.raises(JobDead, match="did not stop"):
            await job.aresult(timeout=30)
        release.set()
        assert await asyncio.to_thread(said.wait, 30)
        await (await after.adelay()).aresult(timeout=30)
    assert await parts_of(queue, job.id) == ["in time"]
    assert await logs_of(queue, job.id) == []
    assert (await job.arefresh()).job.progress is None


def test_news_cross_a_process_unchanged() -> None:
    full = Report(
        "j", 3, 50, "é", b'{"a":1}', (LogLine("info", "x", {"y": [1]}),), (b'"1"', b"null")
    )
    for report in (full, Report("j", 1), Report("j", 1, progress=0), Report("j", 1, message="")):
        assert from_wire(to_wire(report)) == report


class Slow(MemoryStore):
    """A store that takes news only while its gate is open, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.away = False

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        self.asked.set()
        await self.gate.wait()
        if self.away:
            raise StoreUnavailable("for now")
        return await super().report(reports)

    async def told(self) -> list[bytes]:
        return [part.value for part in await self.parts("j", 0, 1000)]


@pytest.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slow]:
    monkeypatch.setattr("offload.worker.service.REST", 0.001)
    store = Slow()
    await store.open()
    await store.enqueue([NewJob("j", "task")])
    await store.heartbeat(Beat("me", 30.0))
    await store.claim("me", None, 1)
    yield store
    await store.close()


@pytest.fixture
async def progress(slow: Slow) -> AsyncIterator[Progress]:
    progress = Progress(slow)
    running = asyncio.create_task(progress.run())
    yield progress
    slow.gate.set()
    progress.stopping.set()
    await running


def part(number: int, size: int = 300_000) -> bytes:
    return b'"%d %b"' % (number, b"x" * size)


async def test_who_publishes_too_fast_has_to_wait(slow: Slow, progress: Progress) -> None:
    parts = [part(n) for n in range(20)]
    published: list[int] = []

    def publish() -> None:
        for number, value in enumerate(parts):
            progress.report(Report("j", 1, parts=(value,)))
            published.append(number)

    publishing = asyncio.create_task(asyncio.to_thread(publish))
    await slow.asked.wait()
    await asyncio.wait([publishing], timeout=0.2)
    assert len(published) == 4  # of 300 kB, for a megabyte may wait
    slow.gate.set()
    await publishing
    await progress.flush(await held(slow))
    assert await slow.told() == parts


async def held(store: MemoryStore) -> Any:
    return await store.get(["j"])


async def test_what_finds_no_room_is_never_lost_quietly(
    slow: Slow, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offload.worker.progress.PATIENCE", 0.01)
    line = LogLine("info", "x" * 4000)

    def talk() -> None:
        for _ in range(1000):
            progress.report(Report("j", 1, logs=(line,)))
        progress.report(Report("j", 1, progress=50))
        with pytest.raises(StoreUnavailable, match="publishes more than the store takes"):
            progress.report(Report("j", 1, parts=(part(1),)))

    await asyncio.to_thread(talk)
    slow.gate.set()
    await progress.flush(await held(slow))
    *lines, note = [log.line for log in await slow.logs(RecordFilter(job_id="j", limit=2000))]
    assert 200 < len(lines) < 300
    left_out = 1000 - len(lines)
    assert note.message == f"{left_out} lines are left out: more was logged than could be stored"
    assert await slow.told() == []
    [job] = await held(slow)
    assert job.progress == 50


async def test_news_outlive_a_store_that_is_away(slow: Slow, progress: Progress) -> None:
    slow.away = True
    slow.gate.set()
    parts = [part(n, 10) for n in range(100)]
    for value in parts[:50]:
        await progress.relay(Report("j", 1, parts=(value,)))
    with pytest.raises(StoreUnavailable):
        await progress.flush(await held(slow))
    for value in parts[50:]:
        await progress.relay(Report("j", 1, parts=(value,)))
    slow.away = False
    await progress.flush(await held(slow))
    assert await slow.told() == parts


@pytest.mark.parametrize("number", [1, 3])
async def test_the_end_waits_for_news_that_are_under_way(
    slow: Slow, progress: Progress, number: int
) -> None:
    parts = [part(n, 10) for n in range(number)]
    for value in parts:
        await progress.relay(Report("j", 1, parts=(value,)))
        await slow.asked.wait()
    flushing = asyncio.create_task(progress.flush(await held(slow)))
    await asyncio.wait([flushing], timeout=0.1)
    assert not flushing.done()
    slow.gate.set()
    await flushing
    assert await slow.told() == parts


async def test_who_has_lost_its_job_is_not_heard(slow: Slow, progress: Progress) -> None:
    slow.gate.set()
    await slow.retire("me")
    await slow.finish([Finish("j", 1, Move.RELEASE)])
    await slow.claim("other", None, 1)
    await progress.relay(Report("j", 1, parts=(part(1, 10),)))
    await progress.relay(Report("j", 2, parts=(part(2, 10),)))
    await progress.flush(await held(slow))
    assert await slow.told() == [part(2, 10)]


async def test_a_process_that_publishes_too_fast_has_to_wait(
    app: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = app.queue.store.report
    gate, asked = threading.Event(), threading.Event()

    async def report(reports: Sequence[Report]) -> list[bool]:
        asked.set()
        await asyncio.to_thread(gate.wait)
        return list(await real(reports))

    monkeypatch.setattr(app.queue.store, "report", report)
    async with working(app.queue):
        job = await app.in_process.adelay("shout")
        assert await asyncio.to_thread(asked.wait, 30)
        hearing = asyncio.create_task(stage.heard())
        await asyncio.wait([hearing], timeout=1)
        early = hearing.done()
        gate.set()
        assert not early
        assert await hearing == ["shouted"]
        await job.aresult(timeout=30)
    assert [len(part) for part in await parts_of(app.queue, job.id)] == [500_000] * 20


async def test_a_worker_ends_while_a_process_waits_for_a_store_that_is_away(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    async def report(reports: Sequence[Report]) -> list[bool]:
        asked.set()
        raise StoreUnavailable("for good")

    monkeypatch.setattr(app.queue.store, "report", report)
    async with working(app.queue, grace=0) as work:
        await app.in_process.adelay("shout")
        assert await asyncio.to_thread(asked.wait, 30)
        await work.end()
