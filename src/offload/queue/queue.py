"""`Queue`: where tasks are defined, jobs enqueued and inspected, and workers started."""

import asyncio
from collections.abc import Callable, Coroutine
from os import PathLike, fspath
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from offload.client.client import Client
from offload.codec import ARGUMENTS_LIMIT, RESULT_LIMIT, Caps
from offload.core.errors import ConfigurationError
from offload.core.options import SECONDS, SOME, QueueOptions, checked, require
from offload.queue.decorator import TaskDecorator
from offload.queue.enqueueing import Enqueueing
from offload.queue.hooks import HookMethods
from offload.queue.inspection import Inspection
from offload.queue.locking import Locking
from offload.queue.operating import Operating
from offload.queue.outboxes import OutboxMethods
from offload.queue.scheduling import Scheduling
from offload.queue.working import Working
from offload.store.base import Store
from offload.store.loop import IOLoop
from offload.store.open import open_store, without_password
from offload.tasks.definition import TaskOptions
from offload.tasks.registry import Registry
from offload.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_PATH = ".offload/offload.db"
BYTES = ("1 byte or more", SOME[1])


class Queue(
    Enqueueing, Inspection, Locking, Operating, OutboxMethods, Scheduling, Working, HookMethods
):
    """Tasks and their jobs.

    Nothing is opened and no thread started until the first call that needs it. Every method
    that touches the store has an `a` twin to await; the plain one blocks its thread for as long
    as the store takes, usually a few milliseconds, and may be called anywhere.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, a plain path, `memory://`, or
            `postgresql://user@host/database`, `redis://user:password@host:port/0?prefix=name`.
        db_path: the same for a plain path; its folders are made.
        workers: how many functions one worker process runs at a time.
        result_ttl: seconds after which a worker removes finished jobs, dead letters and
            error records; None keeps them.
        synchronous: FULL, or NORMAL for cheaper commits that a power loss may undo.
        lease: seconds of silence after which a worker counts as dead.
        heartbeat: seconds between its signs of life.
        max_arguments: bytes of JSON that a job's arguments may take, 256 KiB.
        max_result: bytes of JSON that its result may take, 1 MiB.
        defaults: for the queue's tasks: max_retries, retry_backoff (seconds before the first
            retry, doubled for each further one), max_retry_delay, retry_delays, timeout
            (seconds that an attempt may take), priority (higher is sooner), expires.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        db_path: str | PathLike[str] | None = None,
        workers: int = 4,
        result_ttl: float | None = None,
        synchronous: str = "FULL",
        lease: float = 30.0,
        heartbeat: float = 5.0,
        max_arguments: int = ARGUMENTS_LIMIT,
        max_result: int = RESULT_LIMIT,
        **defaults: Unpack[QueueOptions],
    ) -> None:
        """Check the options; nothing is opened.

        Raises:
            ConfigurationError: a value is wrong; the message names the valid ones.
        """
        if url is not None and db_path is not None:
            raise ConfigurationError("give url or db_path=, not both")
        require("workers", workers, SOME)
        require("lease", lease, SECONDS)
        require("heartbeat", heartbeat, SECONDS)
        if not 0 < heartbeat <= lease / 3:
            raise ConfigurationError(
                f"heartbeat={heartbeat!r}: must be more than 0 and at most a third of "
                f"lease={lease!r}, so that one lost beat costs no job"
            )
        for option, value in (("max_arguments", max_arguments), ("max_result", max_result)):
            require(option, value, BYTES)
        if result_ttl is not None:
            require("result_ttl", result_ttl, SECONDS)  # obeyed by the janitor: no job repeats it
        for option, said in (("url", url), ("db_path", db_path)):
            if not isinstance(said, str | PathLike | None):
                raise ConfigurationError(f"{option}={said!r}: must be a URL or a path")
        place = fspath(url or db_path or DEFAULT_PATH)
        self.url = without_password(place)
        self.workers = workers
        self.result_ttl = result_ttl
        self._lease = lease
        self._heartbeat = heartbeat
        self.tasks = Registry()
        self.store: Store = open_store(place, synchronous=synchronous)
        options = checked(defaults, QueueOptions)
        caps = Caps(max_arguments, max_result)
        self._client = Client(self.store, IOLoop(), self.tasks, options, caps)

    def __repr__(self) -> str:
        """Show where the jobs are."""
        return f"<Queue {self.url}>"

    @overload
    def task(
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Task[P, Coroutine[Any, Any, R], R]: ...

    @overload
    def task(self, function: Callable[P, R]) -> Task[P, R, R]: ...

    @overload
    def task(self, *, name: str | None = ..., **options: Unpack[TaskOptions]) -> TaskDecorator: ...

    def task(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> Any:
        """Make a task of a function: `@queue.task` or `@queue.task(max_retries=5)`.

        Args:
            function: the function, when used without brackets.
            name: instead of `module.qualname`.
            options: max_retries, retry_backoff, max_retry_delay, retry_delays, timeout,
                priority, expires, queue, result_ttl, unique, on_parent_failure come before the
                queue's and after the call's; executor, retry_on, no_retry_on, rate_limit,
                max_concurrency, limit_key and limits are for the task alone.

        Raises:
            ConfigurationError: an option is unknown or wrong; the message names the valid ones.
        """
        decorator = TaskDecorator(self.tasks, self._client, name, options)
        return decorator if function is None else decorator(function)

    async def aopen(self) -> None:
        """Open the store now, to fail early; otherwise the first call does it.

        What the outboxes hold is relayed from now on.
        """
        await self._client.open()
        self._client.outboxes.start(asyncio.get_running_loop())

    def close(self) -> None:
        """Write what was accepted and let go of the store; the next call opens it again."""
        self._client.run(self._client.close())
        self._client.loop.stop()

    async def aclose(self) -> None:
        """Close the queue; see `close`."""
        await self._client.close()
        await asyncio.to_thread(self._client.loop.stop)
