"""What histories are made of: each method of the port that writes, in all its moods."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from offload.core.errors import DependencyError, DuplicateJob
from offload.core.job import Inputs, Job, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.records import Failure, Finish, LogLine, Report
from offload.core.retry import RetryPolicy
from offload.core.schedule import CatchUp, Edit, Fire, Overlap, Schedule
from offload.core.states import Move
from offload.core.unique import OnConflict, Scope, UniqueKey
from offload.store.base import Beat, Store
from offload.store.clock import Clock
from tests.power.reading import LOCKS, MOST

WORKERS = ("w1", "w2")
QUEUES = ("a", "b")
SCHEDULES = ("s1", "s2")
OWNERS = ("o1", "o2")
MOVES = (Move.COMPLETE, Move.COMPLETE, Move.BURY, Move.FAIL, Move.RETRY, Move.RELEASE, Move.CANCEL)

Ask = Callable[[Store], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the port."""

    name: str
    ask: Ask

    async def on(self, store: Store) -> object:
        """Return the store's answer; a refusal is one too."""
        try:
            return await self.ask(store)
        except (DuplicateJob, DependencyError) as error:
            return repr(error)


@dataclass(slots=True)
class Workload:
    """Makes operations up; the random numbers and what it was told decide which."""

    rng: random.Random
    clock: Clock
    held: list[Job] = field(default_factory=list)
    """Jobs as they were claimed, whatever became of them."""
    dead: Sequence[str] = ()
    schedules: Sequence[Schedule] = ()
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LOCKS, 0))
    """The newest of each lock."""
    _made: int = 0
    _last: list[Operation] = field(default_factory=list)

    def something(self) -> Operation:
        """Return any operation that makes sense now, or one of the last once more."""
        if self._last and self.rng.random() < 0.06:
            return self.rng.choice(self._last)
        [deed] = self.rng.choices(list(self._deeds()), list(self._deeds().values()))
        return self._noted(Operation(deed.__name__, deed()))

    def enqueueing(self) -> Operation:
        """Return an operation that is never refused."""
        jobs = [self._plain() for _ in range(self.rng.choice((1, 3)))]
        return self._noted(Operation("enqueue", lambda store: store.enqueue(jobs)))

    def _noted(self, operation: Operation) -> Operation:
        self._last = [*self._last[-4:], operation]
        return operation

    def _deeds(self) -> dict[Callable[[], Ask], int]:
        return {
            self.enqueue: 12,
            self.claim: 14,
            self.finish: 18 if self.held else 0,
            self.report: 6 if self.held else 0,
            self.cancel: 4,
            self.retry_dead: 4 if self.dead else 0,
            self.replay: 3,
            self.set_paused: 3,
            self.prune: 2,
            self.heartbeat: 4,
            self.retire: 2,
            self.put_schedules: 3,
            self.edit_schedule: 2,
            self.delete_schedule: 1,
            self.fire: 5 if self.schedules else 0,
            self.acquire: 4,
            self.release: 4,
        }

    # --- jobs --------------------------------------------------------------------------------

    def enqueue(self) -> Ask:
        """Ask for jobs that wait for each other, for older ones, and for one that never was."""
        jobs: list[NewJob] = []
        for _ in range(self.rng.choice((1, 1, 2, 4))):
            new = replace(self._plain(), unique=self._unique())
            parents = self._parents([job.id for job in jobs])
            jobs.append(replace(new, depends_on=parents))
        return lambda store: store.enqueue(jobs)

    def _plain(self) -> NewJob:
        rng = self.rng
        return NewJob(
            id=self._new_id(),
            task=rng.choice(("t", "u")),
            queue=rng.choice(QUEUES),
            payload=b'[["%s"],{}]' % rng.randbytes(rng.choice((2, 200, 3000))).hex().encode(),
            priority=rng.randint(-1, 1),
            delay=rng.choice((0.0, 0.0, 0.0, 60.0)),
            retry=RetryPolicy(rng.randint(0, 2), delays=rng.choice(((), (1.0, 5.0)))),
            timeout=rng.choice((None, 2.5)),
            expires=rng.choice((None, None, None, 40.0)),
            result_ttl=rng.choice((None, None, 20.0)),
            on_parent_failure=rng.choice(list(OnParentFailure)),
            inputs=rng.choice(list(Inputs)),
            lane=self._lane(),
            metadata=rng.choice((None, {"n": 1})),
            tags=rng.choice(((), ("x",))),
        )

    def _unique(self) -> UniqueKey | None:
        if self.rng.random() < 0.6:
            return None
        scope, conflict = self.rng.choice(list(Scope)), self.rng.choice(list(OnConflict))
        window = 30.0 if scope is Scope.WINDOW else None
        return UniqueKey(self.rng.choice(("k1", "k2")), scope, conflict, window)

    def _parents(self, batch: Sequence[str]) -> tuple[str, ...]:
        if batch and self.rng.random() < 0.5:
            return (batch[-1],)
        if self.rng.random() < 0.8:
            return ()
        known = [job.id for job in self.held[-5:]] or ["never"]
        return tuple(dict.fromkeys((self._any_id(), *batch[:1], self.rng.choice(known))))

    def _lane(self) -> Lane | None:
        if self.rng.random() < 0.6:
            return None
        interval, most = self.rng.choice((None, 0.1, 20.0)), self.rng.choice((None, 1, 2))
        return Lane(self.rng.choice(("l1", "l2")), interval, most)

    def claim(self) -> Ask:
        """Take some jobs."""
        worker, limit = self.rng.choice(WORKERS), self.rng.randint(1, 4)
        queues = self.rng.choice((None, None, ["a"], ["b", "a"]))
        return lambda store: store.claim(worker, queues, limit)

    def finish(self) -> Ask:
        """End some that were claimed, perhaps long ago."""
        count = self.rng.choice((1, 1, 1, 3))
        ends = [self._end(self._claimed()) for _ in range(count)]
        return lambda store: store.finish(ends)

    def _claimed(self) -> Job:
        return self.rng.choice(self.held[-8:] if self.rng.random() < 0.8 else self.held)

    def _end(self, job: Job) -> Finish:
        rng, move = self.rng, self.rng.choice(MOVES)
        finish = Finish(job.id, job.lease, move, ran=rng.choice((None, 0.5)), memory=1 << 20)
        if move is Move.COMPLETE:
            result = b'"%s"' % rng.randbytes(rng.choice((1, 50, 2500))).hex().encode()
            return replace(finish, result=result)
        finish = replace(finish, delay=rng.choice((0.0, 5.0)))  # a released one is a snooze then
        if move is Move.RELEASE:
            return finish
        failure = Failure("Boom", f"{move} of {job.id}", "…" * 40)
        return replace(finish, failure=failure, crashed=rng.random() < 0.3)

    def report(self) -> Ask:
        """Tell news of some that were claimed."""
        news = [self._news(self._claimed()) for _ in range(self.rng.choice((1, 1, 2)))]
        return lambda store: store.report(news)

    def _news(self, job: Job) -> Report:
        rng = self.rng
        lines = (LogLine("info", f"of {job.id}"), LogLine("error", "…", {"n": [1, None]}))
        return Report(
            job.id,
            job.lease,
            progress=rng.choice((None, rng.randint(0, 100))),
            message=rng.choice((None, "half-way", "…" * 100)),
            data=rng.choice((None, b'{"n":1}')),
            logs=lines[: rng.randint(0, 2)],
            parts=(b'"one"', b'"two"')[: rng.randint(0, 2)],
        )

    def cancel(self) -> Ask:
        """Cancel any job, or ask it to stop."""
        job_id, running = self._any_id(), self.rng.random() < 0.5
        return lambda store: store.cancel(job_id, running=running)

    def retry_dead(self) -> Ask:
        """Take up to two dead letters, or one that is not there."""
        letters = self.rng.choices(self.dead, k=2) if self.rng.random() < 0.9 else ["never"]
        new_ids = {letter: self._new_id() for letter in letters}
        return lambda store: store.retry_dead(new_ids)

    def replay(self) -> Ask:
        """Repeat any two jobs, whether they have ended or not."""
        new_ids = {self._any_id(): self._new_id() for _ in range(2)}
        return lambda store: store.replay(new_ids)

    def set_paused(self) -> Ask:
        """Close a queue, or more often open it."""
        queue, paused = self.rng.choice(QUEUES), self.rng.random() < 0.4
        return lambda store: store.set_paused(queue, paused=paused)

    def prune(self) -> Ask:
        """Remove what is old, whatever there is: which ones a limit leaves nobody promises."""
        age = self.rng.choice((None, 20.0, 60.0))
        return lambda store: store.prune(
            jobs_older_than=age, dead_older_than=age, records_older_than=age, limit=MOST
        )

    # --- workers, schedules, locks -----------------------------------------------------------

    def heartbeat(self) -> Ask:
        """Show that a worker lives; what it holds has no order."""
        beat = Beat(self.rng.choice(WORKERS), 10.0, host="h", pid=1, queues=("a",), concurrency=2)

        async def heartbeat(store: Store) -> object:
            return sorted(map(repr, await store.heartbeat(beat)))

        return heartbeat

    def retire(self) -> Ask:
        """Let a worker go."""
        worker = self.rng.choice(WORKERS)
        return lambda store: store.retire(worker)

    def put_schedules(self) -> Ask:
        """Define the schedules, one of them perhaps at run time."""
        schedules = [self._schedule(name) for name in SCHEDULES]
        return lambda store: store.put_schedules(schedules)

    def _schedule(self, name: str) -> Schedule:
        rng = self.rng
        return Schedule(
            name,
            "t",
            trigger=rng.choice(("every:30", "every:60")),
            next_at=self.clock.now() + rng.choice((0, 30_000)),
            tz=rng.choice(("UTC", "Europe/Vienna")),
            options=rng.choice((None, {"queue": "a"})),
            overlap=rng.choice(list(Overlap)),
            catch_up=rng.choice(list(CatchUp)),
            jitter=rng.choice((0.0, 2.5)),
            edited=rng.random() < 0.2,
        )

    def edit_schedule(self) -> Ask:
        """Change a schedule, or one that is not there."""
        rng, name = self.rng, self.rng.choice((*SCHEDULES, "never"))
        later = Edit(trigger="every:90", next_at=self.clock.now() + 90_000, options={"n": 2})
        other = Edit(payload=b"[[7],{}]", overlap=Overlap.SKIP, catch_up=CatchUp.ALL, jitter=1.0)
        edit = rng.choice((later, other, Edit(paused=True), Edit(paused=False)))
        return lambda store: store.edit_schedule(name, edit)

    def delete_schedule(self) -> Ask:
        """Remove a schedule."""
        name = self.rng.choice(SCHEDULES)
        return lambda store: store.delete_schedule(name)

    def fire(self) -> Ask:
        """Fire a tick, or one that nobody waits for; twice in one call, as two workers would."""
        rng, schedule = self.rng, self.rng.choice(self.schedules)
        tick = schedule.next_at + rng.choice((0, 0, 0, 1))
        fires = [self._ticked(schedule.name, tick) for _ in range(rng.choice((1, 1, 2)))]
        return lambda store: store.fire(fires)

    def _ticked(self, name: str, tick: int) -> Fire:
        ticks = [tick - 30_000 * back for back in range(self.rng.choice((0, 1, 1, 3)))][::-1]
        key = self.rng.choice((None, None, UniqueKey("k1"), UniqueKey("k2")))
        jobs = [replace(self._plain(), schedule=name, tick=each, unique=key) for each in ticks]
        return Fire(name, tick, tick + 30_000, tuple(jobs))

    def acquire(self) -> Ask:
        """Take a lock, or extend it."""
        name, owner = self.rng.choice(LOCKS), self.rng.choice(OWNERS)
        ttl = self.rng.choice((1.0, 600.0))

        async def acquire(store: Store) -> int | None:
            token = await store.acquire(name, owner, ttl)
            self.tokens[name] = max(self.tokens[name], token or 0)
            return token

        return acquire

    def release(self) -> Ask:
        """Let go of a lock that may be somebody else's."""
        name, owner = self.rng.choice(LOCKS), self.rng.choice(OWNERS)
        return lambda store: store.release(name, owner)

    def _new_id(self) -> str:
        self._made += 1
        return f"j{self._made}"

    def _any_id(self) -> str:
        return f"j{self.rng.randint(max(1, self._made - 30), max(1, self._made))}"
