"""What becomes of a job after an attempt: one pure function, three callers.

The completer calls it when a task returns or raises, the janitor when a lease has lapsed, and
the shutdown path for attempts that it had to cut short.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from offload.core.job import Job
from offload.core.light import light
from offload.core.records import Failure, Finish
from offload.core.states import Move

POISON_CRASHES = 3
"""A job whose process died this often is buried, whatever its retries: it would take down more."""


@light
@dataclass(frozen=True, slots=True)
class Returned:
    """The task returned; `result` is encoded."""

    result: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """The task raised, timed out or could not be run; `delay` overrides the backoff (seconds)."""

    failure: Failure
    retryable: bool = True
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The task was asked to stop and did."""

    reason: str = "cancelled while running"


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Nobody reports on this job any more: its worker died, froze or was cut off."""

    reason: str
    crashed: bool = True
    """Whether a process died in which its function was running, and so may be to blame."""


@dataclass(frozen=True, slots=True)
class Released:
    """The job is given back without having been finished: no attempt is used.

    It is due again after `delay` seconds; without one it keeps its place in the line.
    """

    delay: float = 0.0


Outcome = Returned | Raised | Stopped | Lapsed | Released


def decide(
    job: Job,
    outcome: Outcome,
    rng: Callable[[], float],
    *,
    ran: float | None = None,
    memory: int | None = None,
) -> Finish:
    """Return how `job`, as it was claimed, ends; the store applies it only under the same lease.

    `ran` and `memory` go with it; see `Finish`.
    """
    if isinstance(outcome, Returned):  # most jobs end so: one object, not two
        return Finish(job.id, job.lease, Move.COMPLETE, 0.0, outcome.result, ran=ran, memory=memory)
    finish = _without_result(job, outcome, rng)
    return finish if ran is None else replace(finish, ran=ran, memory=memory)


def _without_result(
    job: Job, outcome: Raised | Stopped | Lapsed | Released, rng: Callable[[], float]
) -> Finish:
    match outcome:
        case Stopped(reason):
            return _cancelled(job, reason)
        case Released(delay):
            return Finish(job.id, job.lease, Move.RELEASE, delay=delay)
        case Raised(failure, retryable, delay):
            return _after_error(job, failure, rng, retryable=retryable, delay=delay)
        case Lapsed(reason, crashed):
            return _after_loss(job, Failure("WorkerLost", reason), rng, crashed=crashed)


def _after_error(
    job: Job,
    failure: Failure,
    rng: Callable[[], float],
    *,
    retryable: bool,
    delay: float | None,
) -> Finish:
    if job.cancel_requested:
        # Somebody wants it gone: a cancel asked for while the task ran wins over a retry.
        return _cancelled(job, "cancelled while running")
    if not retryable:
        return Finish(job.id, job.lease, Move.FAIL, failure=failure)
    if job.attempt > job.retry.max_retries:
        return Finish(job.id, job.lease, Move.BURY, failure=failure)
    wait = job.retry.delay(job.attempt, rng) if delay is None else delay
    return Finish(job.id, job.lease, Move.RETRY, delay=wait, failure=failure)


def _after_loss(job: Job, failure: Failure, rng: Callable[[], float], *, crashed: bool) -> Finish:
    crashes = job.crashes + crashed
    if job.cancel_requested:
        return _cancelled(job, "its worker died after a cancel was asked for")
    if crashed and crashes >= POISON_CRASHES:
        poison = Failure("PoisonJob", f"its process died {crashes} times; last: {failure.message}")
        return Finish(job.id, job.lease, Move.BURY, failure=poison, crashed=True)
    if job.attempt > job.retry.max_retries:
        return Finish(job.id, job.lease, Move.BURY, failure=failure, crashed=crashed)
    # The first crash is most often the machine's fault, so the job runs again at once.
    wait = job.retry.delay(crashes - 1, rng) if crashes > 1 else 0.0
    return Finish(job.id, job.lease, Move.RETRY, delay=wait, failure=failure, crashed=crashed)


def _cancelled(job: Job, reason: str) -> Finish:
    return Finish(job.id, job.lease, Move.CANCEL, failure=Failure("Cancelled", reason))
