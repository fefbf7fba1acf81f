"""Makes jobs of request tasks whose function is a queue task."""

import asyncio
from dataclasses import replace
from typing import Any, cast

from offload.core.errors import ConfigurationError, StoreUnavailable
from offload.core.job import NewJob
from offload.core.request import RequestStatus
from offload.core.unique import OnConflict, Unique
from offload.inproc.call import Call
from offload.inproc.options import RequestOptions
from offload.inproc.task import RequestTask
from offload.inproc.tracing import carried
from offload.tasks.draft import CallOptions
from offload.tasks.handle import handles
from offload.tasks.task import Task as QueueTask

ATTEMPTS = 4
"""How often a store that cannot be reached is asked."""
PAUSE = 0.1
"""Seconds before it is asked again, twice as many each time."""

CONFLICTS = {
    "raise": OnConflict.REJECT,
    "return": OnConflict.RETURN,
    "replace": OnConflict.REPLACE,
}


def new_job(call: Call) -> NewJob | None:
    """Return what a queue will be asked for, so that it is refused where it is written.

    None if the function is none of a queue's.

    Raises:
        ConfigurationError: it is no function, or an option cannot hold for a job.
        ArgumentError, PayloadError: the arguments do not fit.
    """
    func, options = call.func, call.options
    if not isinstance(func, QueueTask):
        if not callable(func):
            raise ConfigurationError(
                f"schedule({func!r}): give the function and its arguments apart, "
                "schedule(send, to), not schedule(send(to))"
            )
        if options.durable:
            raise ConfigurationError(
                f"durable=True: {getattr(func, '__qualname__', func)} is no queue task: "
                "decorate it with @queue.task"
            )
        return None
    if options.durable is not False:
        _check(func, options)
    elif func.executor == "process":
        raise ConfigurationError(
            f"durable=False: {func.name} runs in a process (executor='process'), "
            "which only a worker has: leave it to its queue"
        )
    return func.new_job(call.args, call.kwargs, **_call_options(options))


async def enqueue(task: RequestTask[Any]) -> RequestStatus:
    """Store the job of a task, and return what has become of the task.

    Raises:
        StoreError: the store cannot be reached, also after some attempts, or cannot take it.
        DuplicateJob: its key is held, and the task said to raise then.
    """
    func = cast("QueueTask[Any, Any, Any]", task.func)
    jobs = [cast("NewJob", task.new_job)]
    for attempt in range(ATTEMPTS):
        try:
            stored = await func.jobs.enqueue(jobs)
        except StoreUnavailable:
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(PAUSE * 2**attempt)
        else:
            task.job = handles(stored, func.jobs)[0]
            break
    return RequestStatus.SPILLED if task.spills else RequestStatus.ENQUEUED


def promise(task: RequestTask[Any], session: object) -> None:
    """Have the job of a task in the database of a session that is about to commit.

    It is enqueued after the commit all the same, under the same id: whoever comes second, this
    process or a relay, changes nothing. Where that database is no outbox of the queue, nothing.
    """
    func = cast("QueueTask[Any, Any, Any]", task.func)
    job = cast("NewJob", task.new_job)
    if job.unique is not None:
        # Nobody is there any more whom the relay could tell of a refusal.
        job = replace(job, unique=replace(job.unique, on_conflict=OnConflict.RETURN))
    func.jobs.run(func.jobs.promise([job], session))


def _check(func: QueueTask[Any, Any, Any], options: RequestOptions) -> None:
    """Refuse what a closure or this process would have to do for a job.

    Raises:
        ConfigurationError: naming what to say on the queue task.
    """
    instead = {
        "shield": "a job survives the process: leave it out",
        "on_error": "use @task.on_failure or @queue.on_failure",
        "retry_on": "say @queue.task(retry_on=…)",
    }
    for name, way in instead.items():
        if getattr(options, name):
            raise ConfigurationError(f"{name}= for the queue task {func.name}: {way}")


def _call_options(options: RequestOptions) -> CallOptions:
    said = CallOptions()
    if (policy := options.policy) is not None:
        said["max_retries"] = policy.max_retries
        if not isinstance(options.retry, int):
            said["retry_backoff"], said["max_retry_delay"] = policy.backoff, policy.max_delay
            if policy.delays:
                said = CallOptions(max_retries=policy.max_retries, retry_delays=policy.delays)
    if options.timeout is not None:
        said["timeout"] = options.timeout
    if options.key is not None:
        said["unique_key"] = options.key
        said["unique"] = Unique(on_conflict=CONFLICTS[options.on_conflict])
    if words := carried():
        said["metadata"] = words
    return said
