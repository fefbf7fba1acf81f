"""`Queue`: where tasks are defined, jobs enqueued and inspected, and workers started."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar, overload

from offload.client.client import Client
from offload.core.errors import ConfigurationError, JobNotFound
from offload.core.job import AttemptError, DeadLetter
from offload.core.options import Options
from offload.core.states import State
from offload.queue.decorator import TaskDecorator
from offload.queue.running import Running, stop_signals
from offload.store.base import JobFilter, Store, WorkerRow
from offload.store.loop import IOLoop
from offload.store.open import open_store
from offload.tasks.handle import JobHandle
from offload.tasks.ids import new_id
from offload.tasks.registry import Registry
from offload.tasks.task import Task
from offload.worker.crew import CrewOptions
from offload.worker.userloop import UserLoop
from offload.worker.worker import WorkerOptions

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_PATH = ".offload/offload.db"
PURGE_AGE = 86_400.0
"""Seconds: what `purge_completed` and `purge_dead` spare if nothing is said."""


class Queue:
    """Tasks and their jobs.

    Nothing is opened and no thread started until the first call that needs it. Every method
    that touches the store has an `a` twin to await; the plain one blocks its thread for as long
    as the store takes, usually a few milliseconds, and may be called anywhere.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, a plain path, or `memory://`.
        db_path: the same for a plain path; its folders are made.
        workers: how many functions one worker process runs at a time.
        result_ttl: seconds after which a worker removes finished jobs, dead letters and
            error records; None keeps them.
        synchronous: FULL, or NORMAL for cheaper commits that a power loss may undo.
        lease: seconds of silence after which a worker counts as dead.
        heartbeat: seconds between its signs of life.
        max_retries: default for the queue's tasks, like the options after it.
        retry_backoff: seconds before the first retry, doubled for each further one.
        timeout: seconds that an attempt may take.
        priority: higher is sooner.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        db_path: str | None = None,
        workers: int = 4,
        result_ttl: float | None = None,
        synchronous: str = "FULL",
        lease: float = 30.0,
        heartbeat: float = 5.0,
        max_retries: int | None = None,
        retry_backoff: float | None = None,
        timeout: float | None = None,
        priority: int | None = None,
    ) -> None:
        """Check the options; nothing is opened.

        Raises:
            ConfigurationError: a value is wrong; the message names the valid ones.
        """
        if url is not None and db_path is not None:
            raise ConfigurationError("give url or db_path=, not both")
        if workers < 1:
            raise ConfigurationError(f"workers={workers!r}: must be 1 or more")
        if not 0 < heartbeat <= lease / 3:
            raise ConfigurationError(
                f"heartbeat={heartbeat!r}: must be more than 0 and at most a third of "
                f"lease={lease!r}, so that one lost beat costs no job"
            )
        self.url = url or db_path or DEFAULT_PATH
        self.workers = workers
        self.result_ttl = result_ttl
        self._lease = lease
        self._heartbeat = heartbeat
        Options(result_ttl=result_ttl)  # checked here, obeyed by the janitor: no job repeats it
        defaults = Options(
            max_retries=max_retries,
            retry_backoff=retry_backoff,
            timeout=timeout,
            priority=priority,
        )
        self.tasks = Registry()
        self.store: Store = open_store(self.url, synchronous=synchronous)
        self._client = Client(self.store, IOLoop(), self.tasks, defaults)

    def __repr__(self) -> str:
        """Show where the jobs are."""
        return f"<Queue {self.url}>"

    # --- tasks ---------------------------------------------------------------------------

    @overload
    def task(
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Task[P, Coroutine[Any, Any, R], R]: ...

    @overload
    def task(self, function: Callable[P, R]) -> Task[P, R, R]: ...

    @overload
    def task(
        self, *, name: str | None = ..., executor: str | None = ..., **options: Any
    ) -> TaskDecorator: ...

    def task(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        executor: str | None = None,
        **options: Any,
    ) -> Any:
        """Make a task of a function: `@queue.task` or `@queue.task(max_retries=5)`.

        Args:
            function: the function, when used without brackets.
            name: instead of `module.qualname`.
            executor: async, thread or process; by default async for `async def`, else thread.
            options: max_retries, retry_backoff, max_retry_delay, timeout, priority, queue,
                result_ttl, expires. They come before the queue's and after the call's.

        Raises:
            ConfigurationError: an option is unknown or wrong.
        """
        decorator = TaskDecorator(self.tasks, self._client, name, executor, options)
        return decorator if function is None else decorator(function)

    # --- enqueue -------------------------------------------------------------------------

    def enqueue(self, task_name: str, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Enqueue a registered task by its name; its own options hold."""
        return self.tasks.get(task_name).delay(*args, **kwargs)

    async def aenqueue(self, task_name: str, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Enqueue a registered task by its name; see `enqueue`."""
        return await self.tasks.get(task_name).adelay(*args, **kwargs)

    def enqueue_many(
        self,
        task_name: str,
        args_list: Sequence[Sequence[Any]],
        kwargs_list: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> list[JobHandle[Any]]:
        """Enqueue a job for each entry, all in one transaction, with the same options.

        Raises:
            ConfigurationError: the two lists differ in length.
        """
        return self._client.run(self.aenqueue_many(task_name, args_list, kwargs_list, **options))

    async def aenqueue_many(
        self,
        task_name: str,
        args_list: Sequence[Sequence[Any]],
        kwargs_list: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> list[JobHandle[Any]]:
        """Enqueue a job for each entry; see `enqueue_many`."""
        task = self.tasks.get(task_name)
        named = [{}] * len(args_list) if kwargs_list is None else kwargs_list
        if len(named) != len(args_list):
            raise ConfigurationError(
                f"args_list has {len(args_list)} entries, kwargs_list {len(named)}: "
                "give one of each for every job"
            )
        jobs = [
            task.new_job(args, kwargs, **options)
            for args, kwargs in zip(args_list, named, strict=True)
        ]
        return [JobHandle(job, self._client) for job in await self._client.enqueue(jobs)]

    # --- jobs ----------------------------------------------------------------------------

    def get_job(self, job_id: str) -> JobHandle[Any] | None:
        """Return the job, None if it is unknown or was purged."""
        return self._client.run(self.aget_job(job_id))

    async def aget_job(self, job_id: str) -> JobHandle[Any] | None:
        """Return the job; see `get_job`."""
        job = await self._client.get(job_id)
        return None if job is None else JobHandle(job, self._client)

    def list_jobs(self, **wanted: Any) -> list[JobHandle[Any]]:
        """Return a page of jobs, newest first; the arguments are those of `alist_jobs`."""
        return self._client.run(self.alist_jobs(**wanted))

    async def alist_jobs(
        self,
        *,
        status: str | Sequence[str] | None = None,
        task: str | None = None,
        queue: str | None = None,
        tag: str | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[JobHandle[Any]]:
        """Return a page of jobs, newest first; `before` is the last id of the page before.

        Raises:
            ConfigurationError: there is no such status.
        """
        wanted = JobFilter(_states(status), task, queue, tag, before, limit)
        jobs = await self._client.call(lambda store: store.search(wanted))
        return [JobHandle(job, self._client) for job in jobs]

    async def awatch(
        self, job_id: str, interval: float = 0.1
    ) -> AsyncGenerator[JobHandle[Any], None]:
        """Yield the job now and on every change, until it is final or gone.

        Changes that come faster than `interval` seconds are merged; the last is never left out.
        However many watch, the process reads the store once for all of them.
        """
        async with aclosing(self._client.watch(job_id, interval)) as jobs:
            async for job in jobs:
                yield JobHandle(job, self._client)

    def cancel_job(self, job_id: str) -> bool:
        """Cancel a pending job; False if it is in any other state or unknown."""
        return self._client.run(self.acancel_job(job_id))

    async def acancel_job(self, job_id: str) -> bool:
        """Cancel a pending job; see `cancel_job`."""
        return await self._client.cancel(job_id, running=False)

    def cancel_running_job(self, job_id: str) -> bool:
        """Ask a running job to stop; False if it is not running.

        A coroutine gets `CancelledError` at its next await, a process is killed. A thread can
        only look: `current_job.check_cancelled()`; one that does not look runs to its end.
        """
        return self._client.run(self.acancel_running_job(job_id))

    async def acancel_running_job(self, job_id: str) -> bool:
        """Ask a running job to stop; see `cancel_running_job`."""
        return await self._client.cancel(job_id, running=True)

    def job_errors(self, job_id: str) -> list[AttemptError]:
        """Return the failed attempts of a job, oldest first."""
        return self._client.run(self.ajob_errors(job_id))

    async def ajob_errors(self, job_id: str) -> list[AttemptError]:
        """Return the failed attempts of a job; see `job_errors`."""
        return await self._client.call(lambda store: store.errors(job_id))

    # --- inspection ----------------------------------------------------------------------

    def stats(self, queue: str | None = None) -> dict[str, int]:
        """Count the jobs: pending, running, completed, failed, dead, cancelled."""
        return self._client.run(self.astats(queue))

    async def astats(self, queue: str | None = None) -> dict[str, int]:
        """Count the jobs; see `stats`."""
        counts = await self._client.call(lambda store: store.stats(queue))
        return {
            "completed" if state is State.COMPLETE else str(state): counts[state] for state in State
        }

    def dead_letters(self, limit: int = 10, offset: int = 0) -> list[DeadLetter]:
        """Return a page of dead letters, newest first."""
        return self._client.run(self.adead_letters(limit, offset))

    async def adead_letters(self, limit: int = 10, offset: int = 0) -> list[DeadLetter]:
        """Return a page of dead letters; see `dead_letters`."""
        return await self._client.call(lambda store: store.dead_letters(limit, offset))

    def retry_dead(self, dead_id: str) -> str:
        """Enqueue a fresh job for a dead letter, remove the letter, return the new job's id.

        Raises:
            JobNotFound: there is no such letter; somebody may have retried it already.
        """
        return self._client.run(self.aretry_dead(dead_id))

    async def aretry_dead(self, dead_id: str) -> str:
        """Enqueue a fresh job for a dead letter; see `retry_dead`."""
        job = await self._client.call(lambda store: store.retry_dead(dead_id, new_id()))
        if job is None:
            raise JobNotFound(dead_id, "", f"no dead letter {dead_id}: unknown, retried or purged")
        return job.id

    def purge_completed(self, older_than: float = PURGE_AGE) -> int:
        """Remove finished jobs that ended more than `older_than` seconds ago, return how many.

        Their error records go with them; dead letters stay. A job's own `result_ttl` comes
        before `older_than`.
        """
        return self._client.run(self.apurge_completed(older_than))

    async def apurge_completed(self, older_than: float = PURGE_AGE) -> int:
        """Remove old finished jobs; see `purge_completed`."""
        total = 0
        while count := (
            await self._client.call(lambda store: store.prune(jobs_older_than=older_than))
        ).jobs:
            total += count
        return total

    def purge_dead(self, older_than: float = PURGE_AGE) -> int:
        """Remove dead letters older than `older_than` seconds, return how many."""
        return self._client.run(self.apurge_dead(older_than))

    async def apurge_dead(self, older_than: float = PURGE_AGE) -> int:
        """Remove old dead letters; see `purge_dead`."""
        total = 0
        while count := (
            await self._client.call(lambda store: store.prune(dead_older_than=older_than))
        ).dead_letters:
            total += count
        return total

    def list_workers(self) -> list[WorkerRow]:
        """Return the workers that are alive, or died without being replaced."""
        return self._client.run(self.aworkers())

    async def aworkers(self) -> list[WorkerRow]:
        """Return the workers; see `list_workers`."""
        return await self._client.call(lambda store: store.workers())

    # --- running -------------------------------------------------------------------------

    def run_worker(
        self,
        *,
        concurrency: int | None = None,
        queues: Sequence[str] | None = None,
        grace: float = 30.0,
        crew: CrewOptions | None = None,
    ) -> None:
        """Work in this process until Ctrl-C or SIGTERM, then finish what runs and return.

        Running jobs have `grace` seconds; what is left is given back without using an attempt.
        A second signal ends the grace. It returns in time whatever the tasks do: async tasks
        run on a loop in another thread, and one that blocks it is left behind. With `crew`,
        which the command gives, functions run in processes of their own.

        Raises:
            ConfigurationError: `queues` or `concurrency` make no sense, or a process of the
                crew could not import the application.
        """
        options = replace(self._worker_options(concurrency, queues, grace), crew=crew)

        async def waiting() -> None:
            nobodys = nullcontext(asyncio.get_running_loop())
            with UserLoop() if crew is None else nobodys as loop:
                running = Running(self.tasks, options, loop)
                with stop_signals(running.ask_to_stop):
                    await self._client.call(running.work)

        asyncio.run(waiting())

    async def arun_worker(
        self,
        stop: asyncio.Event | None = None,
        *,
        concurrency: int | None = None,
        queues: Sequence[str] | None = None,
        grace: float = 30.0,
        install_signals: bool = True,
    ) -> None:
        """Work until `stop` is set or, with `install_signals`, a SIGINT or SIGTERM comes.

        Async tasks run on the loop that awaits this. The end is that of `run_worker`; to cancel
        this is to end it without grace.

        Raises:
            ConfigurationError: `queues` or `concurrency` make no sense.
        """
        options = self._worker_options(concurrency, queues, grace)
        running = Running(self.tasks, options, asyncio.get_running_loop())
        signals = stop_signals(running.ask_to_stop) if install_signals else nullcontext()
        with signals:
            working = asyncio.create_task(self._client.call(running.work))
            await running.watch(working, stop or asyncio.Event())

    def _worker_options(
        self, concurrency: int | None, queues: Sequence[str] | None, grace: float
    ) -> WorkerOptions:
        if concurrency is not None and concurrency < 1:
            raise ConfigurationError(f"concurrency={concurrency!r}: must be 1 or more")
        if queues is not None and (isinstance(queues, str) or not queues):
            raise ConfigurationError(f"queues={queues!r}: give a list of names, or None for all")
        return WorkerOptions(
            concurrency=concurrency or self.workers,
            queues=queues,
            lease=self._lease,
            heartbeat=self._heartbeat,
            grace=grace,
            result_ttl=self.result_ttl,
            url=self.store.capabilities.url,
        )

    async def aopen(self) -> None:
        """Open the store now, to fail early; otherwise the first call does it."""

        async def nothing(_: Store) -> None: ...

        await self._client.call(nothing)

    def close(self) -> None:
        """Write what was accepted and let go of the store; the next call opens it again."""
        self._client.run(self._client.close())
        self._client.loop.stop()

    async def aclose(self) -> None:
        """Close the queue; see `close`."""
        await self._client.close()
        await asyncio.to_thread(self._client.loop.stop)


def _states(status: str | Sequence[str] | None) -> tuple[State, ...]:
    names = [status] if isinstance(status, str) else list(status or ())
    try:
        return tuple(State("complete" if name == "completed" else name) for name in names)
    except ValueError:
        raise ConfigurationError(f"status={status!r}: use {', '.join(State)}") from None
