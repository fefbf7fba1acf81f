"""Histories that Hypothesis makes up: the model and the file must tell each of them the same."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from offload.core.job import Job, NewJob
from offload.core.records import Failure, Finish, Part, Report
from offload.core.schedule import Edit, Fire, Schedule
from offload.core.states import Move, State
from offload.store.base import Beat, JobFilter, Lapse, Pruned, RecordFilter
from tests.store import draws
from tests.store.draws import IDS, QUEUES, UNKNOWN, Draft, End, Fault, News
from tests.store.pair import COUNTS, Call, Pair, Refused, numbered

STALE = 5


def by_lease(lapses: list[Lapse]) -> dict[str, Job]:
    """Return what the port promises of lapses, which have no order."""
    assert all(lapse.reason for lapse in lapses)
    return {lapse.job.id: lapse.job for lapse in lapses}


def parts_after(job_id: str, seen: int) -> Call[list[Part]]:
    """Return the question for what a job has published since."""
    return lambda store: store.parts(job_id, seen, 2)


class Histories(RuleBasedStateMachine):
    """One history, which Hypothesis shortens when it fails."""

    driver = "sqlite"

    def __init__(self) -> None:
        """Start with two empty stores."""
        super().__init__()
        self.pair = Pair(self.driver)
        self.clock = self.pair.clock
        self.made = 0
        self.jobs: dict[str, Job] = {}
        self.leases: list[tuple[str, int]] = []
        COUNTS.histories += 1

    def teardown(self) -> None:
        """Compare all that can be read, and close what was opened."""
        try:
            self.pair.compare()
        finally:
            self.pair.close()

    # --- what there is -------------------------------------------------------------------------

    def fresh(self, prefix: str) -> str:
        """Return an id that nobody has used for long: a history of ever more jobs gets slow."""
        self.made += 1
        return f"{prefix}{self.made % 20}"

    def known(self, index: int) -> str:
        """Return the id of a job, or one that was never stored."""
        ids = [*self.jobs, "no"]
        return ids[index % len(ids)]

    def chosen(self, back: int) -> tuple[str, int]:
        """Return one of the leases that still hold, or for a high number any lease there was."""
        running = {(job.id, job.lease) for job in self.jobs.values() if job.worker is not None}
        held = [lease for lease in self.leases if lease in running]
        leases = held if held and back < STALE else self.leases
        return leases[-1 - back % len(leases)]

    def look(self) -> None:
        """Note what there is now, and what has become of what there was."""
        jobs = {job.id: job for job in self.pair.modelled()}
        for job in jobs.values():
            if job.state is State.RUNNING and (job.id, job.lease) not in self.leases:
                self.leases.append((job.id, job.lease))
                COUNTS.transitions[f"pending {Move.CLAIM}"] += 1
            before = self.jobs.get(job.id)
            if before is not None and before.state is State.PENDING and job.is_final:
                move = Move.EXPIRE if job.error == "expired" else Move.CANCEL
                COUNTS.transitions[f"pending {move}"] += 1
        self.jobs = jobs

    # --- jobs ----------------------------------------------------------------------------------

    @initialize(stay=st.booleans(), batch=draws.batches)
    def begin(self, batch: list[Draft], *, stay: bool) -> None:
        """Take turns between the two store objects, or stay with one; have something to do."""
        self.pair.stay = stay
        self.enqueue(batch)

    def requests(self, batch: Sequence[Draft]) -> list[NewJob]:
        """Return what is asked for, with parents among this batch and what is there."""
        asked: list[NewJob] = []
        for draft in batch:
            pool = [*(job.id for job in reversed(asked)), *reversed(self.jobs)]
            parents = ("no" if n == UNKNOWN else pool[n % len(pool)] for n in draft.parents)
            asked.append(replace(draft.job, depends_on=tuple(parents) if pool else ()))
        return asked

    @rule(batch=draws.batches, again=st.booleans(), fault=draws.faults)
    def enqueue(
        self, batch: Sequence[Draft], *, again: bool = False, fault: Fault = Fault.NONE
    ) -> None:
        """Ask for jobs, some of which are there already, and perhaps for some of them twice."""
        asked = self.requests(batch)
        asked += asked[:2] if again else []
        answer = self.pair.same("enqueue", lambda store: store.enqueue(asked), fault)
        before = self.jobs.keys()
        self.look()
        COUNTS.operations["enqueue: stored"] += len(self.jobs.keys() - before)
        if isinstance(answer, Refused):
            COUNTS.operations[f"enqueue: {answer.why}"] += 1

    @rule(worker=draws.workers, queues=draws.queue_lists, limit=draws.few, fault=draws.faults)
    def claim(
        self, worker: str, queues: list[str] | None, limit: int, fault: Fault = Fault.NONE
    ) -> None:
        """Take jobs."""
        self.pair.same("claim", lambda store: store.claim(worker, queues, limit), fault)
        self.look()

    @rule(ends=draws.endings, delay=draws.delays, shift=draws.shifts, fault=draws.faults)
    def finish(
        self, ends: Sequence[End], delay: float, shift: int, fault: Fault = Fault.NONE
    ) -> None:
        """End claimed jobs, some of which have ended or been claimed anew since."""
        finishes = [self.ending(end, delay, shift) for end in ends if self.leases]
        accepted = self.pair.same("finish", lambda store: store.finish(finishes), fault)
        self.look()
        for finish, yes in zip(finishes, accepted, strict=True):
            self.count_end(finish, accepted=yes)

    def ending(self, end: End, delay: float, shift: int) -> Finish:
        """Return an ending as a worker would make it."""
        job_id, lease = self.chosen(end.back)
        finish = Finish(job_id, lease + shift, end.move, delay=delay, ran=end.ran)
        if end.move is Move.COMPLETE:
            return replace(finish, result=b"%d" % end.back, memory=end.back * 1000)
        if end.move is Move.RELEASE:
            return finish
        return replace(finish, failure=end.failure, crashed=end.crashed)

    def count_end(self, finish: Finish, *, accepted: bool) -> None:
        """Count by which arrow a job has ended; who was asked to stop is cancelled."""
        if not accepted:
            COUNTS.operations["finish: refused"] += 1
            return
        again = finish.move in {Move.RETRY, Move.RELEASE}
        stopped = again and self.jobs[finish.job_id].state is State.CANCELLED
        COUNTS.transitions[f"running {Move.CANCEL if stopped else finish.move}"] += 1

    @rule(news=draws.news, shift=draws.shifts, fault=draws.faults)
    def report(self, news: list[News], shift: int, fault: Fault = Fault.NONE) -> None:
        """Tell news, perhaps too late."""
        reports = []
        for each in news if self.leases else []:
            job_id, lease = self.chosen(each.back)
            said = (each.progress, each.message, each.data, each.logs, each.parts)
            reports.append(Report(job_id, lease + shift, *said))
        for yes in self.pair.same("report", lambda store: store.report(reports), fault):
            COUNTS.operations[f"report: {'accepted' if yes else 'refused'}"] += 1

    @rule(index=st.integers(0, 20), running=st.booleans(), fault=draws.faults)
    def cancel(self, index: int, fault: Fault = Fault.NONE, *, running: bool) -> None:
        """Cancel a pending job, or ask a running one to stop."""
        wanted = State.RUNNING if running else State.PENDING
        fit = [job.id for job in self.jobs.values() if job.state is wanted]
        job_id = fit[index % len(fit)] if fit and index < 15 else self.known(index)
        name = "ask to stop" if running else "cancel"
        call_running = running
        if self.pair.same(name, lambda store: store.cancel(job_id, running=call_running), fault):
            COUNTS.operations[f"{name}: done"] += 1

    @rule(queue=st.sampled_from(QUEUES), paused=st.sampled_from([True, False, False]))
    def set_paused(self, queue: str, *, paused: bool) -> None:
        """Close or open a queue."""
        self.pair.same(
            "pause" if paused else "resume", lambda store: store.set_paused(queue, paused=paused)
        )

    @rule(picks=st.lists(st.integers(0, 5), max_size=3, unique=True), fault=draws.faults)
    def retry_dead(self, picks: list[int], fault: Fault = Fault.NONE) -> None:
        """Put fresh jobs in the places of dead letters, or of some that are gone."""
        letters = self.pair.same("dead letters", lambda store: store.dead_letters(4, 0))
        dead = [letters[n].id if n < len(letters) else IDS[n] for n in picks]
        new_ids = {dead_id: self.fresh("r") for dead_id in dead}
        answer = self.pair.same("retry dead", lambda store: store.retry_dead(new_ids), fault)
        self.look()
        COUNTS.operations["retry dead: done"] += len(answer)

    @rule(picks=st.lists(st.integers(0, 20), max_size=3), fault=draws.faults)
    def replay(self, picks: list[int], fault: Fault) -> None:
        """Repeat jobs that have ended, and ask it of others."""
        new_ids = {self.known(n): self.fresh("p") for n in picks}
        answer = self.pair.same("replay", lambda store: store.replay(new_ids), fault)
        COUNTS.operations["replay: done"] += len(answer)

    @rule(jobs=draws.ages, dead=draws.ages, records=draws.ages, fault=draws.faults)
    def prune(
        self,
        jobs: float | None,
        dead: float | None,
        records: float | None,
        fault: Fault = Fault.NONE,
    ) -> None:
        """Remove what is old."""
        pruned = self.pair.same(
            "prune",
            lambda store: store.prune(
                jobs_older_than=jobs, dead_older_than=dead, records_older_than=records
            ),
            fault,
        )
        COUNTS.operations["prune: something"] += pruned != Pruned()
        self.look()

    # --- workers and time ----------------------------------------------------------------------

    @rule(worker=draws.workers, lease=st.sampled_from([5.0, 30.0]))
    def heartbeat(self, worker: str, lease: float) -> None:
        """Show that a worker lives."""
        COUNTS.operations["heartbeat"] += 1
        beat = Beat(worker, lease, host="here", pid=len(worker), queues=("a",), concurrency=2)
        expected, answer = self.pair.both(lambda store: store.heartbeat(beat))
        assert len(answer) == len(expected)
        assert set(answer) == set(expected)

    @rule(worker=draws.workers)
    def retire(self, worker: str) -> None:
        """Let a worker go."""
        self.pair.same("retire", lambda store: store.retire(worker))

    @rule(end=st.booleans())
    def lapsed(self, *, end: bool) -> None:
        """Look for jobs whose worker is gone, and give them back as a janitor does."""
        COUNTS.operations["lapsed"] += 1
        expected, answer = self.pair.both(lambda store: store.lapsed(100))
        assert by_lease(answer) == by_lease(expected)
        _, few = self.pair.both(lambda store: store.lapsed(1))
        assert len(few) == min(1, len(expected))
        if expected and end:
            COUNTS.operations["lapsed: taken over"] += 1
            lost = Failure("WorkerLost", "gone")
            finishes = [
                Finish(lapse.job.id, lapse.job.lease, Move.RETRY, failure=lost, crashed=True)
                for lapse in expected
            ]
            assert all(self.pair.same("finish", lambda store: store.finish(finishes)))

    @rule(seconds=st.sampled_from([0.001, 0.5, 1.0, 6.0, 31.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass: jobs become due and old, workers are silent."""
        COUNTS.operations["time passes"] += 1
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-3600.0, -1.0, 0.5, 3600.0]))
    def jump(self, seconds: float) -> None:
        """Set the wall clock; no lease gets shorter."""
        COUNTS.faults["the clock is set back" if seconds < 0 else "the clock is set forward"] += 1
        self.clock.jump(seconds)

    @rule(machine=st.sampled_from([False, False, True]))
    def restart(self, *, machine: bool) -> None:
        """End one of the two processes and start it anew, perhaps with the whole machine."""
        COUNTS.faults["the machine restarts" if machine else "a process restarts"] += 1
        if machine:
            self.clock.reboot()
        self.pair.reopen()

    # --- schedules and locks -------------------------------------------------------------------

    @rule(defined=st.lists(draws.schedules, max_size=2), fault=draws.faults)
    def put_schedules(self, defined: list[Schedule], fault: Fault = Fault.NONE) -> None:
        """Start a program that defines schedules."""
        self.pair.same("put schedules", lambda store: store.put_schedules(defined), fault)

    @rule(name=st.sampled_from(draws.SCHEDULES), edit=draws.edits)
    def edit_schedule(self, name: str, edit: Edit) -> None:
        """Change a schedule by hand."""
        self.pair.same("edit schedule", lambda store: store.edit_schedule(name, edit))

    @rule(name=st.sampled_from(draws.SCHEDULES))
    def delete_schedule(self, name: str) -> None:
        """Remove a schedule."""
        self.pair.same("delete schedule", lambda store: store.delete_schedule(name))

    @rule(
        picks=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 0, 1])), max_size=3),
        jobs=st.lists(draws.new_jobs, max_size=2),
        fault=draws.faults,
    )
    def fire(
        self, picks: list[tuple[int, int]], jobs: list[NewJob], fault: Fault = Fault.NONE
    ) -> None:
        """Fire ticks, some of which somebody else has fired."""
        there = {row.name: row.next_at for row in self.pair.same("schedules", rows_of)}
        names = [*there, "no"]
        fires = []
        for index, late in picks:
            name = names[index % len(names)]
            tick = there.get(name, 0) - late
            asked = [
                replace(job, id=self.fresh("s"), schedule=name, tick=tick + place)
                for place, job in enumerate(jobs)
            ]
            fires.append(Fire(name, tick, tick + 1000, tuple(asked)))
        answer = self.pair.same("fire", lambda store: store.fire(fires), fault)
        self.look()
        if isinstance(answer, Refused):
            COUNTS.operations[f"fire: {answer.why}"] += 1
            return
        for each in answer:
            COUNTS.operations["fire: too late" if each is None else "fire: done"] += 1

    @rule(
        name=st.sampled_from(["l1", "l2"]),
        owner=st.sampled_from(["o1", "o2"]),
        ttl=st.sampled_from([4.75, 30.25]),
    )
    def acquire(self, name: str, owner: str, ttl: float) -> None:
        """Take or extend a lock."""
        token = self.pair.same("acquire", lambda store: store.acquire(name, owner, ttl))
        COUNTS.operations["acquire: refused"] += token is None

    @rule(name=st.sampled_from(["l1", "l2"]), owner=st.sampled_from(["o1", "o2"]))
    def release(self, name: str, owner: str) -> None:
        """Let go of a lock."""
        done = self.pair.same("release", lambda store: store.release(name, owner))
        COUNTS.operations["release: done"] += done

    # --- looking -------------------------------------------------------------------------------

    @rule(wanted=draws.filters, before=st.none() | st.integers(0, 20), fault=draws.few)
    def search(self, wanted: JobFilter, before: int | None, fault: int) -> None:
        """Search, and turn the pages of dead letters."""
        ids = list(self.jobs)
        if before is not None and ids:
            wanted = replace(wanted, before=ids[before % len(ids)])
        self.pair.same("search", lambda store: store.search(wanted))
        self.pair.same("dead letters", lambda store: store.dead_letters(fault, 1))

    @rule(wanted=draws.record_filters, index=st.integers(0, 20), skip=draws.few)
    def read_records(self, wanted: RecordFilter, index: int, skip: int) -> None:
        """Read logs and metrics, and the parts of a job from where one was."""
        COUNTS.operations["logs, metrics, parts"] += 1
        job_id = self.known(index)
        for pair in (
            self.pair.both(lambda store: store.logs(wanted)),
            self.pair.both(lambda store: store.metrics(self.pair.whole(wanted))),
        ):
            expected, answer = map(numbered, map(self.pair.in_order, pair))
            assert answer == expected
        seen = self.pair.both(lambda store: store.parts(job_id, 0, 100))
        assert numbered(seen[1]) == numbered(seen[0])
        if skip < len(seen[0]):
            rest = [
                self.pair.ask(store, parts_after(job_id, parts[skip].id))
                for store, parts in zip((self.pair.model, self.pair.files[0]), seen, strict=True)
            ]
            assert numbered(rest[1]) == numbered(rest[0]) == numbered(seen[0][skip + 1 :][:2])

    # --- longer ways ---------------------------------------------------------------------------
    # Hypothesis leaves whole kinds of steps out of each history, and few histories would get far
    # with three kinds needed for it.

    @rule(
        batch=draws.batches,
        worker=draws.workers,
        news=draws.news,
        stop=st.booleans(),
        ends=draws.endings,
        delay=draws.delays,
    )
    def work(
        self,
        batch: list[Draft],
        worker: str,
        news: list[News],
        ends: list[End],
        delay: float,
        *,
        stop: bool,
    ) -> None:
        """Enqueue, claim, report, perhaps ask one to stop, and finish."""
        self.enqueue(batch)
        self.claim(worker, None, 4)
        self.report(news, 0)
        if stop:
            self.cancel(0, running=True)
        self.finish(ends, delay, 0)

    @rule(defined=st.lists(draws.schedules, max_size=2), jobs=st.lists(draws.new_jobs, max_size=2))
    def tick(self, defined: list[Schedule], jobs: list[NewJob]) -> None:
        """Define schedules and fire what is due, twice."""
        self.put_schedules(defined)
        for _ in range(2):
            self.fire([(0, 0), (1, 0)], jobs)

    @rule(batch=draws.families, worker=draws.workers, ends=draws.endings)
    def wait_for_parents(self, batch: list[Draft], worker: str, ends: list[End]) -> None:
        """Enqueue jobs that depend on each other, and end some of them."""
        self.enqueue(batch)
        self.claim(worker, None, 4)
        self.finish(ends, 0.0, 0)
        self.claim(worker, None, 4)

    @rule(draft=draws.drafts, worker=draws.workers, failure=draws.failures, days=st.booleans())
    def die(self, draft: Draft, worker: str, failure: Failure, *, days: bool) -> None:
        """Bury what runs, and give it another chance, perhaps when the job is long gone."""
        self.enqueue([draft])
        self.claim(worker, None, 4)
        ends = [End(back, Move.BURY, failure, crashed=False, ran=None) for back in range(3)]
        self.finish(ends, 0.0, 0)
        if days:
            self.clock.advance(100_000)
            self.prune(60.0, None, None)
        self.retry_dead([0])

    @rule(worker=draws.workers, ask=st.booleans())
    def vanish(self, worker: str, *, ask: bool) -> None:
        """Claim, beat and then be silent for too long."""
        self.claim(worker, None, 4)
        self.heartbeat(worker, 30.0)
        if ask and self.leases:
            job_id, _ = self.chosen(0)
            self.pair.same("ask to stop", lambda store: store.cancel(job_id, running=True))
        self.heartbeat(worker, 30.0)
        self.clock.advance(31.0)
        self.lapsed(end=True)

    # --- after each step -----------------------------------------------------------------------

    @invariant()
    def all_jobs_are_the_same(self) -> None:
        """And what must hold of any history does, lest both be wrong in the same way."""
        COUNTS.steps += 1
        before = self.jobs
        self.look()
        self.pair.compare_jobs()
        for job in self.jobs.values():
            self.check(job, before.get(job.id))

    def check(self, job: Job, before: Job | None) -> None:
        """Require what must hold of any job at any time."""
        assert (job.state is State.COMPLETE) == (job.result is not None)
        assert (job.state is State.RUNNING) == (job.worker is not None)
        assert job.is_final == (job.finished_at is not None)
        assert 0 <= job.attempt <= job.lease
        assert not (job.blockers and job.lease), "a blocked job was claimed"
        if before is not None and before.created_at == job.created_at:
            assert job.version > before.version or job == before, "a change that nobody can see"
            assert not before.is_final or job == before, "final is final"


def rows_of(store: Any) -> Any:
    """Return the schedules."""
    return store.schedules()
