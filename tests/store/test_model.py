"""Random histories, played on the model and on a file: every answer must be the same.

    pytest tests/store/test_model.py                                # what CI plays
    pytest --hypothesis-profile=evidence tests/store/test_model.py  # for a machine with time
    pytest --hypothesis-show-statistics tests/store/test_model.py   # how often each event came up

The file is open twice, as in two processes, and each step goes to one of the two. The clock is
the same for all and moves only when the history says so. What the port does not promise is
left out of the comparison: the order of held jobs, lapses and workers, the numbers of error
records and the wording of a lapse.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import event, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from offload.core.job import Job, NewJob
from offload.core.records import Failure, Finish, Report
from offload.core.retry import RetryPolicy
from offload.core.states import LIVE, Move, State
from offload.store.base import Beat, JobFilter, Lapse, Pruned, Store
from offload.store.memory import MemoryStore
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock

Answer = TypeVar("Answer")

IDS = [f"j{n}" for n in range(12)]
QUEUES = ["a", "b"]
WORKERS = ["w1", "w2", "w3"]
TAGS = ["x", "y"]

MOVES = sorted(frozenset(Move) - {Move.CLAIM, Move.EXPIRE})

End = tuple[int, Move, Failure, bool]

START = ManualClock().now()

ages = st.sampled_from([None, 0.0, 5.0, 60.0])
queue_lists = st.sampled_from([None, None, ["a"], ["b"], ["b", "a"], []])

new_jobs = st.builds(
    NewJob,
    id=st.sampled_from(IDS),
    task=st.sampled_from(["t1", "t2"]),
    queue=st.sampled_from(QUEUES),
    payload=st.binary(max_size=4),
    priority=st.integers(-1, 1),
    delay=st.sampled_from([0.0, 0.0, 0.0, 1.0, 60.0]),
    run_at=st.sampled_from([None, None, None, None, START, START + 30_000]),
    retry=st.builds(RetryPolicy, st.integers(0, 3)),
    timeout=st.sampled_from([None, 2.5]),
    expires=st.sampled_from([None, None, None, 0.0, 5.0, 100.0]),
    result_ttl=st.sampled_from([None, None, 0.0, 5.0, 100.0]),
    unique_key=st.sampled_from([None, None, "k1", "k2"]),
    metadata=st.sampled_from([None, {}, {"n": [1, None]}]),
    tags=st.lists(st.sampled_from(TAGS), max_size=2, unique=True).map(tuple),
)
# An id stands for one request: whoever repeats it asks for the same.
batches = st.lists(new_jobs, min_size=1, max_size=4, unique_by=lambda job: job.id)
failures = st.builds(Failure, st.sampled_from(["Boom", "Bang"]), st.sampled_from(["", "broke"]))
# How far back among the claimed jobs, by which move, why, and whether its process died.
endings = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(MOVES), failures, st.booleans()),
    min_size=1,
    max_size=4,
)
delays = st.sampled_from([0.0, 0.0, 0.5, 60.0])
filters = st.builds(
    JobFilter,
    states=st.lists(st.sampled_from(State), max_size=3, unique=True).map(tuple),
    task=st.sampled_from([None, "t1"]),
    queue=st.sampled_from([None, None, *QUEUES]),
    tag=st.sampled_from([None, None, *TAGS]),
    before=st.sampled_from([None, *IDS]),
    limit=st.integers(0, 5),
)


def by_lease(lapses: list[Lapse]) -> dict[str, Job]:
    """Return what the port promises of lapses, which have no order."""
    assert all(lapse.reason for lapse in lapses)
    return {lapse.job.id: lapse.job for lapse in lapses}


class Histories(RuleBasedStateMachine):
    """One history, which Hypothesis makes up, and shortens when it fails."""

    def __init__(self) -> None:
        """Open the stores, all on one clock."""
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.model = MemoryStore(self.clock)
        self.files = [self.opened(), self.opened()]
        self.turn = 0
        self.stay = False
        self.revivals = 0
        self.claimed: list[Job] = []
        self.live: list[str] = []
        self.current: dict[str, int] = {}
        self.over: dict[str, Job] = {}

    def opened(self) -> SQLiteStore:
        """Return another store on the one file."""
        path = Path(self.folder.name) / "jobs.db"
        store = SQLiteStore(path, clock=self.clock, synchronous="NORMAL")
        self.runner.run(store.open())
        return store

    def teardown(self) -> None:
        """Close what was opened."""
        for store in self.files:
            self.runner.run(store.close())
        self.runner.close()
        self.folder.cleanup()

    # --- how the two are asked -------------------------------------------------------------

    def both(self, ask: Callable[[Store], Awaitable[Answer]]) -> tuple[Answer, Answer]:
        """Return the answer of the model and that of the file."""

        async def asked() -> tuple[Answer, Answer]:
            return await ask(self.model), await ask(self.files[self.turn])

        self.turn ^= not self.stay
        return self.runner.run(asked())

    def same(self, ask: Callable[[Store], Awaitable[Answer]]) -> Answer:
        """Require the same answer of both, and return it."""
        expected, answer = self.both(ask)
        assert answer == expected
        return expected

    def chosen(self, back: int) -> Job:
        """Return a claimed job: the last that is still held for 0, then those that are not."""
        held = [job for job in self.claimed if self.current.get(job.id) == job.lease]
        stale = [job for job in self.claimed if job not in held]
        return (held[::-1] + stale[::-1])[back % len(self.claimed)]

    # --- steps -------------------------------------------------------------------------------

    @initialize(stay=st.booleans(), jobs=batches)
    def begin(self, jobs: list[NewJob], *, stay: bool) -> None:
        """Take turns between the two, or stay with one; have something to do."""
        self.stay = stay
        self.enqueue(jobs)

    @rule()
    def reopen(self) -> None:
        """Close one of the two and open it anew; all must still be there."""
        self.runner.run(self.files[self.turn].close())
        self.files[self.turn] = self.opened()

    @rule(jobs=batches, again=st.booleans())
    def enqueue(self, jobs: list[NewJob], *, again: bool = False) -> None:
        """Ask for jobs, some of which are there already, and perhaps for some of them twice."""
        asked = jobs + jobs[:2] if again else jobs
        self.same(lambda store: store.enqueue(asked))

    @rule(worker=st.sampled_from(WORKERS), queues=queue_lists, limit=st.integers(0, 4))
    def claim(self, worker: str, queues: list[str] | None, limit: int) -> None:
        """Take jobs."""
        claim = self.same(lambda store: store.claim(worker, queues, limit))
        self.claimed += claim.jobs
        for job in claim.jobs:
            self.current[job.id] = job.lease
            event(f"claim, attempt {min(job.attempt, 3)}")

    @rule(ends=endings, delay=delays, shift=st.sampled_from([0, 0, 0, 0, 1, -1]))
    def finish(self, ends: list[End], delay: float, shift: int) -> None:
        """End claimed jobs, some of which have ended or been claimed anew since."""
        finishes = []
        for back, move, failure, crashed in ends if self.claimed else []:
            job = self.chosen(back)
            finish = Finish(job.id, job.lease + shift, move, delay=delay)
            if move is Move.COMPLETE:
                finish = replace(finish, result=b"%d" % back)
            elif move is not Move.RELEASE:
                finish = replace(finish, failure=failure, crashed=crashed)
            finishes.append(finish)
        accepted = self.same(lambda store: store.finish(finishes))
        for finish, yes in zip(finishes, accepted, strict=True):
            event(f"{finish.move} {'accepted' if yes else 'refused'}")

    @rule(
        news=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 100)), min_size=1, max_size=3),
        shift=st.sampled_from([0, 0, 0, 1, -1]),
    )
    def report(self, news: list[tuple[int, int]], shift: int) -> None:
        """Tell progress, perhaps too late."""
        jobs = [(self.chosen(back), value) for back, value in news if self.claimed]
        reports = [Report(job.id, job.lease + shift, value) for job, value in jobs]
        for yes in self.same(lambda store: store.report(reports)):
            event(f"report {'accepted' if yes else 'refused'}")

    @rule(index=st.integers(0, 12), running=st.booleans())
    def cancel(self, index: int, *, running: bool) -> None:
        """Cancel a pending job, or ask a running one to stop."""
        jobs = [*self.live, "no"]
        job_id = jobs[index % len(jobs)]
        if self.same(lambda store: store.cancel(job_id, running=running)):
            event(f"cancel, running={running}")

    @rule(worker=st.sampled_from(WORKERS), lease=st.sampled_from([5.0, 30.0]))
    def heartbeat(self, worker: str, lease: float) -> None:
        """Show that a worker lives."""
        beat = Beat(worker, lease, host="here", pid=len(worker), queues=("a",), concurrency=2)
        expected, answer = self.both(lambda store: store.heartbeat(beat))
        assert len(answer) == len(expected)
        assert set(answer) == set(expected)

    @rule(worker=st.sampled_from(WORKERS))
    def retire(self, worker: str) -> None:
        """Let a worker go."""
        self.same(lambda store: store.retire(worker))

    @rule(end=st.booleans())
    def lapsed(self, *, end: bool) -> None:
        """Look for jobs whose worker is gone, and give them back as a janitor does."""
        expected, answer = self.both(lambda store: store.lapsed(100))
        assert by_lease(answer) == by_lease(expected)
        _, few = self.both(lambda store: store.lapsed(1))
        assert len(few) == min(1, len(expected))
        if expected and end:
            event("lapsed")
            lost = Failure("WorkerLost", "gone")
            finishes = [
                Finish(lapse.job.id, lapse.job.lease, Move.RETRY, failure=lost, crashed=True)
                for lapse in expected
            ]
            assert all(self.same(lambda store: store.finish(finishes)))

    @rule(index=st.integers(0, 3))
    def retry_dead(self, index: int) -> None:
        """Put a fresh job in the place of a dead letter, or of one that is gone."""
        letters = self.same(lambda store: store.dead_letters(4, 0))
        dead_id = letters[index].id if index < len(letters) else IDS[index]
        self.revivals += 1
        new_id = f"r{self.revivals}"
        if self.same(lambda store: store.retry_dead(dead_id, new_id)):
            event("retry_dead")

    @rule(jobs=ages, dead=ages, errors=ages)
    def prune(self, jobs: float | None, dead: float | None, errors: float | None) -> None:
        """Remove what is old."""
        pruned = self.same(
            lambda store: store.prune(
                jobs_older_than=jobs, dead_older_than=dead, errors_older_than=errors
            )
        )
        if pruned != Pruned():
            event("prune")

    @rule(seconds=st.sampled_from([0.001, 0.5, 1.0, 6.0, 31.0, 100.0]), jump=st.booleans())
    def pass_time(self, seconds: float, *, jump: bool) -> None:
        """Let time pass, or set the wall clock: that makes jobs due and old, no lease shorter."""
        if jump:
            self.clock.jump(seconds * 60)
        else:
            self.clock.advance(seconds)

    @rule(wanted=filters, limit=st.integers(0, 3), offset=st.integers(0, 3))
    def look(self, wanted: JobFilter, limit: int, offset: int) -> None:
        """Search, turn the pages of dead letters, and list the workers, who have no order."""
        self.same(lambda store: store.search(wanted))
        self.same(lambda store: store.dead_letters(limit, offset))
        expected, answer = self.both(lambda store: store.workers())
        assert {row.id: row for row in answer} == {row.id: row for row in expected}

    # --- longer ways -----------------------------------------------------------------------------
    # Hypothesis leaves whole kinds of steps out of each history, and few histories would get far
    # with three kinds needed for it.

    @rule(jobs=batches, worker=st.sampled_from(WORKERS), ends=endings, delay=delays)
    def work(self, jobs: list[NewJob], worker: str, ends: list[End], delay: float) -> None:
        """Enqueue, claim and finish."""
        self.enqueue(jobs)
        self.claim(worker, None, 4)
        self.finish(ends, delay, 0)

    @rule(job=new_jobs, worker=st.sampled_from(WORKERS), failure=failures, days=st.booleans())
    def die(self, job: NewJob, worker: str, failure: Failure, *, days: bool) -> None:
        """Bury what runs, and give it another chance, perhaps when the job is long gone."""
        self.enqueue([job])
        self.claim(worker, None, 4)
        self.finish([(back, Move.BURY, failure, False) for back in range(3)], 0.0, 0)
        if days:
            self.clock.advance(100_000)
            self.prune(60.0, None, None)
        self.retry_dead(0)

    @rule(worker=st.sampled_from(WORKERS), ask=st.booleans())
    def vanish(self, worker: str, *, ask: bool) -> None:
        """Claim, beat and then be silent for too long."""
        self.claim(worker, None, 4)
        self.heartbeat(worker, 30.0)
        if ask and self.claimed:
            self.same(lambda store: store.cancel(self.claimed[-1].id, running=True))
        self.heartbeat(worker, 30.0)
        self.clock.advance(31.0)
        self.lapsed(end=True)

    # --- after each step -----------------------------------------------------------------------

    @invariant()
    def all_that_can_be_read_is_the_same(self) -> None:
        """Jobs, their order, counts, errors and dead letters."""
        ids = [*IDS, *(f"r{n + 1}" for n in range(self.revivals))]
        jobs, *_ = self.same(lambda store: self.everything(store, ids))
        self.check(jobs)

    async def everything(self, store: Store, ids: list[str]) -> tuple[Sequence[Job], object]:
        """Return all that can be read; error records without their numbers."""
        jobs, read, letters = await asyncio.gather(
            store.search(JobFilter(limit=1000)), store.get(ids), store.dead_letters(1000, 0)
        )
        counts = await asyncio.gather(*(store.stats(queue) for queue in (None, *QUEUES)))
        records = await asyncio.gather(*map(store.errors, ids))
        errors = [[replace(record, id=0) for record in each] for each in records]
        return jobs, (read, letters, counts, errors)

    def check(self, jobs: Sequence[Job]) -> None:
        """Require what must hold of any history, lest both be wrong in the same way."""
        keys = [job.unique_key for job in jobs if job.unique_key and job.state in LIVE]
        assert len(keys) == len(set(keys)), "two live jobs with one key"
        for job in jobs:
            assert (job.state is State.COMPLETE) == (job.result is not None)
            assert (job.state is State.RUNNING) == (job.worker is not None)
            assert job.is_final == (job.finished_at is not None)
            assert 0 <= job.attempt <= job.lease
            if (before := self.over.get(job.id)) is not None:
                assert job == before, "final is final"
        self.over = {job.id: job for job in jobs if job.is_final}
        self.live = [job.id for job in jobs if not job.is_final]
        self.current = {job.id: job.lease for job in jobs if job.state is State.RUNNING}


TestHistories = pytest.mark.timeout(0)(Histories.TestCase)
TestHistories.settings = settings(settings.default, stateful_step_count=40)
