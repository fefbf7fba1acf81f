"""What is heard of running jobs, how they end, and how they are stopped."""

from dataclasses import replace

from offload.core.job import Job
from offload.core.records import (
    AttemptError,
    DeadLetter,
    Finish,
    JobLog,
    Metric,
    Part,
    Report,
)
from offload.core.states import Move, State, target
from offload.store.base import Channel
from offload.store.memory.dependencies import settle
from offload.store.memory.tables import Tables, given_up


def finish(db: Tables, asked: Finish) -> bool:
    """Apply an ending, if it is fenced in."""
    job = db.held(asked.job_id, asked.lease)
    if job is None:
        return False
    now = db.clock.now()
    again = target(job.state, asked.move) is State.PENDING
    ending = asked.stopped() if again and job.cancel_requested else asked
    ended = db.put(_ended(job, ending, now))
    _record(db, job, asked, ending.move, now)
    if ended.state is State.DEAD:
        db.letters.pop(ended.id, None)  # of a purged job of this id; the newest goes last
        db.letters[ended.id] = DeadLetter(ended.id, ended, now)
    if ended.is_final:
        settle(db, [ended])
    if not ended.is_final or ended.lane is not None:
        db.signals.notify(Channel.READY)
    return True


def _ended(job: Job, finish: Finish, now: int) -> Job:
    state = target(State.RUNNING, finish.move)
    ended = replace(
        job,
        state=state,
        worker=None,
        crashes=job.crashes + finish.crashed,
        attempt=job.attempt - finish.gives_back_attempt,
        error=job.error if finish.error is None else finish.error,
        result=finish.result,
    )
    if finish.move is Move.RELEASE and not finish.delay:
        return ended  # its due time is untouched, so that it keeps its place in the line
    if state is State.PENDING:
        return replace(ended, run_at=now + round(finish.delay * 1000))
    if state is State.COMPLETE:
        ended = replace(ended, error=None, progress=100)
    return replace(ended, finished_at=now)


def _record(db: Tables, job: Job, asked: Finish, move: Move, now: int) -> None:
    if asked.failure is not None and asked.move is not Move.CANCEL:
        error = AttemptError(next(db.ids), job.id, job.attempt, asked.failure, now)
        db.errors.append(error)
    if asked.ran is not None and job.started_at is not None:
        db.metrics.append(
            Metric(
                id=next(db.ids),
                job_id=job.id,
                task=job.task,
                attempt=job.attempt,
                move=move,
                wait=(job.started_at - job.run_at) / 1000,
                ran=asked.ran,
                memory=asked.memory,
                recorded_at=now,
            )
        )


def report(db: Tables, news: Report) -> bool:
    """Keep the news, if they are fenced in."""
    job = db.held(news.job_id, news.lease)
    if job is None:
        return False
    db.put(
        replace(
            job,
            progress=job.progress if news.progress is None else news.progress,
            message=job.message if news.message is None else news.message,
            data=job.data if news.data is None else news.data,
        )
    )
    now = db.clock.now()
    db.logs += [
        JobLog(next(db.ids), job.id, job.task, job.attempt, line, now) for line in news.logs
    ]
    db.parts += [Part(next(db.ids), job.id, job.attempt, part, now) for part in news.parts]
    return True


def cancel(db: Tables, job_id: str, *, running: bool) -> bool:
    """Cancel a pending job, or ask a running one to stop."""
    job = db.jobs.get(job_id)
    if job is None or job.state is not (State.RUNNING if running else State.PENDING):
        return False
    if running:
        db.put(replace(job, cancel_requested=True))
        db.signals.notify(Channel.CONTROL)
    else:
        settle(db, [db.put(given_up(job, "cancelled", db.clock.now()))])
    return True
