"""What a running job says, and what is recorded of it."""

from dataclasses import replace
from typing import Any

import pytest

from offload.core.job import Job
from offload.core.records import Failure, JobLog, LogLine, Metric, Part, Report
from offload.core.states import Move, State
from offload.store.base import Channel, RecordFilter, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    FAR,
    MOVES,
    end,
    ended,
    everything,
    put,
    read,
    run,
    soon,
    take,
)

LINE = LogLine("info", "hi")


async def say(store: Store, job: Job, **news: Any) -> bool:
    """Report, and say whether it was accepted."""
    [accepted] = await store.report([Report(job.id, job.lease, **news)])
    return accepted


async def logged(store: Store, **wanted: Any) -> list[str]:
    """Return the messages of logged lines."""
    return [log.line.message for log in await store.logs(replace(RecordFilter(), **wanted))]


async def measured(store: Store, **wanted: Any) -> list[tuple[str, int]]:
    """Return the jobs and attempts of metrics."""
    rows = await store.metrics(replace(RecordFilter(), **wanted))
    return [(row.job_id, row.attempt) for row in rows]


def rises(rows: list[JobLog] | list[Metric] | list[Part]) -> bool:
    """Whether each number is higher than the one before."""
    numbers = [row.id for row in rows]
    return numbers == sorted(set(numbers))


class Reporting:
    """What `report` owes."""

    async def test_what_is_said_is_kept_and_the_rest_stays(self, store: Store) -> None:
        """Each report changes only what it speaks of."""
        job = await run(store, "a")
        seen = []
        for news in (
            {"progress": 10, "message": "ten", "data": b'{"n":10}'},
            {"message": "eleven"},
            {"progress": 0},
            {"data": b"[]", "message": ""},
            {},
        ):
            assert await say(store, job, **news)
            now = await read(store, "a")
            seen.append((now.progress, now.message, now.data))
        assert seen == [
            (10, "ten", b'{"n":10}'),
            (10, "eleven", b'{"n":10}'),
            (0, "eleven", b'{"n":10}'),
            (0, "", b"[]"),
            (0, "", b"[]"),
        ]

    @pytest.mark.parametrize("move", [Move.RETRY, Move.RELEASE])
    async def test_a_new_claim_starts_with_no_news(self, store: Store, move: Move) -> None:
        """Until then the last words of the attempt before can be read."""
        job = await run(store, "a")
        await say(store, job, progress=50, message="half", data=b"1")
        assert await end(store, job, move)
        waiting = await read(store, "a")
        assert (waiting.progress, waiting.message, waiting.data) == (50, "half", b"1")
        [again] = await take(store)
        assert (again.progress, again.message, again.data) == (None, None, None)

    @pytest.mark.parametrize(
        ("move", "progress"),
        [(Move.COMPLETE, 100), (Move.FAIL, 50), (Move.BURY, 50), (Move.CANCEL, 50)],
    )
    async def test_the_last_words_stay(self, store: Store, move: Move, progress: int) -> None:
        """Only success makes the progress whole."""
        job = await run(store, "a")
        await say(store, job, progress=50, message="half", data=b"1")
        assert await end(store, job, move)
        over = await read(store, "a")
        assert (over.progress, over.message, over.data) == (progress, "half", b"1")

    async def test_news_are_fenced_as_a_whole(self, store: Store) -> None:
        """What an old holder says leaves no line, no part, nothing."""
        old = await run(store, "a")
        assert await end(store, old, Move.RETRY)
        [fresh] = await take(store)
        before = await everything(store, "a")
        assert not await say(
            store, old, progress=1, message="old", data=b"1", logs=(LINE,), parts=(b"1",)
        )
        assert await everything(store, "a") == before
        assert await say(store, fresh, logs=(LINE,), parts=(b"1",))
        assert await logged(store) == ["hi"]

    async def test_a_batch_is_in_order(self, store: Store) -> None:
        """Between jobs and within them, with a refused one in between."""
        await put(store, "a", "b")
        a, b = await take(store, 2)
        news = [
            Report("a", a.lease, logs=(LogLine("info", "1"), LogLine("info", "2"))),
            Report("no", 1, logs=(LogLine("info", "no"),)),
            Report("b", b.lease, logs=(LogLine("info", "3"),)),
            Report("a", a.lease, logs=(LogLine("info", "4"),)),
        ]
        assert await store.report(news) == [True, False, True, True]
        assert await logged(store) == ["1", "2", "3", "4"]
        assert await logged(store, job_id="a") == ["1", "2", "4"]

    async def test_a_part_is_news_to_watchers(self, store: Store) -> None:
        """Who reads along is woken."""
        job = await run(store, "a")
        cursor = store.cursor(Channel.CHANGED)
        assert await say(store, job, parts=(b"1",))
        await soon(store.wait(Channel.CHANGED, cursor, FAR))


class Parts:
    """What `parts` owes."""

    async def test_parts_come_in_order_from_where_one_was(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Who has seen one asks for what comes after it; other jobs' parts are not among them."""
        await put(store, "a", "b")
        a, b = await take(store, 2)
        assert await say(store, a, parts=(b"1", b"2"))
        assert await say(store, b, parts=(b"x",))
        clock.advance(1)
        assert await say(store, a, parts=(b"3", bytes(range(256))))
        rows = await store.parts("a", 0, 10)
        assert [row.value for row in rows] == [b"1", b"2", b"3", bytes(range(256))]
        assert rows[2] == Part(rows[2].id, "a", 1, b"3", clock.now())
        assert rises(rows)
        assert min(row.id for row in rows) > 0
        assert await store.parts("a", 0, 2) == rows[:2]
        assert await store.parts("a", rows[1].id, 10) == rows[2:]
        assert await store.parts("a", rows[-1].id, 10) == await store.parts("no", 0, 10) == []

    async def test_parts_of_a_later_attempt_come_after(self, store: Store) -> None:
        """They say which attempt they are of, and stay when the job has ended."""
        for value in (b"1", b"2"):
            job = await run(store, "a")
            assert await say(store, job, parts=(value,))
            assert await end(store, job, Move.RETRY)
        [job] = await take(store)
        assert await end(store, job, Move.COMPLETE)
        rows = await store.parts("a", 0, 10)
        assert [(row.attempt, row.value) for row in rows] == [(1, b"1"), (2, b"2")]
        assert rises(rows)

    async def test_numbers_are_not_used_again(self, store: Store, clock: ManualClock) -> None:
        """Also after the last ones are gone: a reader must not take new parts for seen ones."""
        job = await run(store, "a")
        assert await say(store, job, parts=(b"1", b"2"))
        last = (await store.parts("a", 0, 10))[-1].id
        assert await end(store, job, Move.COMPLETE)
        clock.advance(11)
        await store.prune(jobs_older_than=10)
        assert await say(store, await run(store, "a"), parts=(b"3",))
        assert [row.value for row in await store.parts("a", last, 10)] == [b"3"]


class Logs:
    """What `logs` owes."""

    async def test_a_line_is_kept_as_it_was_said(self, store: Store, clock: ManualClock) -> None:
        """With whose it is and when; `extra` comes back as the JSON that it was."""
        await ended(store, "a", Move.RETRY, task="t")
        [job] = await take(store)
        clock.advance(1)
        line = LogLine("warning", 'ü\n"%', {"n": [1, None, {"x": 1.5}]})
        assert await say(store, job, logs=(line, LINE))
        first, second = await store.logs(RecordFilter())
        assert first == JobLog(first.id, "a", "t", 2, line, clock.now())
        assert second.line == LINE
        assert rises([first, second])

    async def test_logs_are_filtered(self, store: Store, clock: ManualClock) -> None:
        """By job, task, level and time, each alone and all together."""
        start = clock.now()
        for job_id, task in (("a", "t1"), ("b", "t2"), ("c", "t1")):
            job = await run(store, job_id, task=task)
            lines = tuple(LogLine(level, job_id + level[0]) for level in ("info", "error"))
            assert await say(store, job, logs=lines)
            clock.advance(1)
        assert await logged(store) == ["ai", "ae", "bi", "be", "ci", "ce"]
        assert await logged(store, job_id="b") == ["bi", "be"]
        assert await logged(store, task="t1") == ["ai", "ae", "ci", "ce"]
        assert await logged(store, level="error") == ["ae", "be", "ce"]
        assert await logged(store, since=start + 1000) == ["bi", "be", "ci", "ce"]
        assert await logged(store, since=start + 1001) == ["ci", "ce"]
        assert await logged(store, job_id="c", task="t1", level="info", since=start) == ["ci"]
        assert await logged(store, job_id="c", task="t2") == []

    async def test_of_many_the_newest_are_read(self, store: Store) -> None:
        """The limit cuts off the oldest, and what is left is in order."""
        job = await run(store, "a")
        assert await say(store, job, logs=tuple(LogLine("info", str(n)) for n in range(150)))
        assert await logged(store, limit=3) == ["147", "148", "149"]
        assert await logged(store) == [str(n) for n in range(50, 150)]
        assert await logged(store, limit=0) == []


class Metrics:
    """What `metrics` owes."""

    @pytest.mark.parametrize("move", MOVES)
    async def test_each_attempt_that_ran_is_measured(
        self, store: Store, clock: ManualClock, move: Move
    ) -> None:
        """With how it ended, how long it had waited since it was due, and what it took."""
        await put(store, "a", task="t", delay=5.0)
        clock.advance(7.5)
        [job] = await take(store)
        clock.advance(1)
        assert await end(store, job, move, ran=0.75, memory=4096)
        [row] = await store.metrics(RecordFilter())
        assert row == Metric(row.id, "a", "t", 1, move, 2.5, 0.75, 4096, clock.now())

    @pytest.mark.parametrize("move", MOVES)
    async def test_an_attempt_that_did_not_run_is_not_measured(
        self, store: Store, move: Move
    ) -> None:
        """As when the process of a job has died, or a job was given back unstarted."""
        await ended(store, "a", move)
        assert await store.metrics(RecordFilter()) == []

    async def test_no_time_and_no_memory_are_measures(self, store: Store) -> None:
        """An empty function ran; where memory cannot be told it is left out."""
        await ended(store, "a", Move.COMPLETE)
        job = await run(store, "b")
        assert await end(store, job, Move.COMPLETE, ran=0.0)
        [row] = await store.metrics(RecordFilter())
        assert (row.job_id, row.ran, row.memory) == ("b", 0.0, None)

    async def test_a_refused_end_is_not_measured(self, store: Store) -> None:
        """Its attempt was measured by whoever ended it."""
        job = await run(store, "a")
        assert await end(store, job, Move.COMPLETE, ran=1.0)
        assert not await end(store, job, Move.FAIL, ran=2.0)
        assert [row.ran for row in await store.metrics(RecordFilter())] == [1.0]

    async def test_a_retry_that_was_asked_to_stop_is_a_cancel(self, store: Store) -> None:
        """The metric tells what became of the job; its failure is on record all the same."""
        job = await run(store, "a")
        await store.cancel("a", running=True)
        failure = Failure("Boom", "it broke")
        assert await end(store, job, Move.RETRY, ran=1.0, failure=failure)
        assert (await read(store, "a")).state is State.CANCELLED
        assert [row.move for row in await store.metrics(RecordFilter())] == [Move.CANCEL]
        assert [error.failure for error in await store.errors("a")] == [failure]

    async def test_metrics_are_filtered(self, store: Store, clock: ManualClock) -> None:
        """By job, task and time; the newest, oldest first."""
        start = clock.now()
        again, over = Move.RETRY, Move.COMPLETE
        lives = (("a", "t1", again), ("b", "t2", over), ("a", "t1", over), ("c", "t1", over))
        for job_id, task, move in lives:
            job = await run(store, job_id, task=task)
            assert await end(store, job, move, ran=1.0, delay=1.5)
            clock.advance(1)
        assert await measured(store) == [("a", 1), ("b", 1), ("a", 2), ("c", 1)]
        assert await measured(store, job_id="a") == [("a", 1), ("a", 2)]
        assert await measured(store, task="t1") == [("a", 1), ("a", 2), ("c", 1)]
        assert await measured(store, since=start + 2000) == [("a", 2), ("c", 1)]
        assert await measured(store, task="t1", limit=2) == [("a", 2), ("c", 1)]
        assert await measured(store, level="no") == await measured(store)
        assert rises(await store.metrics(RecordFilter()))
