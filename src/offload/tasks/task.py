"""A function that can be enqueued."""

import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from offload.codec import Signature
from offload.core.errors import (
    ArgumentError,
    ConfigurationError,
    PayloadError,
    TaskDefinitionError,
)
from offload.core.job import Job, NewJob
from offload.core.options import DEFAULT_QUEUE, EXECUTORS, SECONDS, Options
from offload.core.unique import UniqueKey
from offload.tasks.handle import JobHandle
from offload.tasks.hooks import Hooks
from offload.tasks.ids import new_id
from offload.tasks.limits import Limits
from offload.tasks.ports import Jobs

P = ParamSpec("P")
Call = TypeVar("Call")
R = TypeVar("R")


class Task(Generic[P, Call, R]):
    """A registered function with its options. Calling it runs the function, here and now.

    `P` are its parameters, `Call` what calling it gives (a coroutine for `async def`), and `R`
    what its jobs give.
    """

    def __init__(
        self,
        function: Callable[P, Call],
        jobs: Jobs,
        *,
        name: str | None = None,
        options: Options | None = None,
        executor: str | None = None,
        retry_on: tuple[type[BaseException], ...] | None = None,
        no_retry_on: tuple[type[BaseException], ...] = (),
        limits: Limits | None = None,
    ) -> None:
        """Make a task of `function`.

        Raises:
            TaskDefinitionError: it cannot be run as asked; the message names the way out.
        """
        self.function = function
        self.name = name or default_name(function)
        self.options = options or Options()
        self.executor = executor_of(function, executor)
        self.retry_on = retry_on
        self.no_retry_on = no_retry_on
        self.limits = limits
        self.hooks = Hooks()
        if limits is not None and self.executor != "process":
            raise TaskDefinitionError(
                f"{self.name}: only a process can be limited: add executor='process' to limits="
            )
        self.signature = Signature(function, self.name)
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", self.name)
        self.__wrapped__ = function
        self._jobs = jobs

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """Run the function directly: nothing is stored."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Task {self.name}>"

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueue a call. When this returns, the job is durable.

        Raises:
            ArgumentError, PayloadTooLarge, PayloadError: the arguments do not fit.
            StoreError: the store could not take it; the job is not there.
        """
        return self._send([self.new_job(args, kwargs)])[0]

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueue a call; see `delay`."""
        return (await self._asend([self.new_job(args, kwargs)]))[0]

    def apply_async(
        self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> JobHandle[R]:
        """Enqueue a call with options of its own; they are those of `new_job`."""
        return self._send([self.new_job(args, kwargs or {}, **options)])[0]

    async def aapply_async(
        self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> JobHandle[R]:
        """Enqueue a call with options of its own; see `apply_async`."""
        return (await self._asend([self.new_job(args, kwargs or {}, **options)]))[0]

    def map(self, calls: Iterable[Sequence[Any]]) -> list[JobHandle[R]]:
        """Enqueue one job for each tuple of arguments, all in one transaction."""
        return self._send(self.new_jobs(calls))

    async def amap(self, calls: Iterable[Sequence[Any]]) -> list[JobHandle[R]]:
        """Enqueue one job for each tuple of arguments; see `map`."""
        return await self._asend(self.new_jobs(calls))

    def new_jobs(self, calls: Iterable[Sequence[Any]], **options: Any) -> list[NewJob]:
        """Return a request for each tuple of arguments, all with the same options.

        Raises:
            ArgumentError: an entry is no tuple or list.
        """
        jobs = []
        for place, args in enumerate(calls):
            if not isinstance(args, tuple | list):
                raise ArgumentError(
                    f"{self.name}: entry {place} is {args!r}: each must be a tuple of arguments, "
                    f"as in [({args!r},)]"
                )
            jobs.append(self.new_job(args, {}, **options))
        return jobs

    def new_job(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        job_id: str | None = None,
        delay: float | None = None,
        eta: datetime | None = None,
        unique_key: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Sequence[str] = (),
        **options: Any,
    ) -> NewJob:
        """Return the request for a call, nothing stored yet.

        Args:
            args: positional arguments.
            kwargs: named arguments.
            job_id: an id of your own; enqueuing it twice gives one job.
            delay: seconds to wait before the job may start.
            eta: the moment before which it must not start, with a time zone.
            unique_key: while a pending or running job has this key, that job is returned.
            metadata: anything JSON, kept with the job.
            tags: words to find the job by.
            options: fields of `Options`; they come before the task's and the queue's.

        Raises:
            ArgumentError, PayloadTooLarge, PayloadError: the arguments do not fit.
            ConfigurationError: an option is unknown or has a wrong value.
        """
        chosen = self._options(options)
        return NewJob(
            id=job_id or new_id(),
            task=self.name,
            queue=chosen.queue or DEFAULT_QUEUE,
            payload=self.signature.encode_arguments(args, kwargs),
            priority=chosen.priority or 0,
            delay=_not_negative(delay),
            run_at=_instant(eta, delay),
            retry=chosen.retry(),
            timeout=chosen.timeout,
            expires=chosen.expires,
            result_ttl=chosen.result_ttl,
            unique=None if unique_key is None else UniqueKey(unique_key),
            metadata=_plain(metadata, self.name),
            tags=tuple(tags),
        )

    def _options(self, said: Mapping[str, Any]) -> Options:
        unknown = set(said) - set(Options.__dataclass_fields__)
        if unknown:
            known = ", ".join(sorted(Options.__dataclass_fields__))
            raise ConfigurationError(f"unknown option {sorted(unknown)}; there are: {known}")
        return Options(**said).over(self._weaker) if said else self._weaker

    @cached_property
    def _weaker(self) -> Options:
        # What holds for every call that says nothing: worked out once, not for each job.
        return self.options.over(self._jobs.defaults)

    def _send(self, jobs: list[NewJob]) -> list[JobHandle[R]]:
        return self._handles(self._jobs.run(self._jobs.enqueue(jobs)))

    async def _asend(self, jobs: list[NewJob]) -> list[JobHandle[R]]:
        return self._handles(await self._jobs.enqueue(jobs))

    def _handles(self, jobs: list[Job]) -> list[JobHandle[R]]:
        return [JobHandle(job, self._jobs) for job in jobs]


def default_name(function: Callable[..., object]) -> str:
    """Return `module.qualname`; a script run as `__main__` counts by its file's name."""
    module = function.__module__
    if module == "__main__":
        path = getattr(sys.modules["__main__"], "__file__", None)
        module = Path(path).stem if path else module
    return f"{module}.{function.__qualname__}"


def executor_of(function: Callable[..., object], wanted: str | None) -> str:
    """Return where `function` runs: as asked, else by what it is.

    Raises:
        TaskDefinitionError: it cannot run there.
    """
    asynchronous = inspect.iscoroutinefunction(function)
    if wanted is None:
        return "async" if asynchronous else "thread"
    if wanted not in EXECUTORS:
        raise TaskDefinitionError(f"executor={wanted!r}: use one of {', '.join(EXECUTORS)}")
    if asynchronous != (wanted == "async"):
        kind = "an async function" if asynchronous else "a plain function"
        raise TaskDefinitionError(
            f"executor={wanted!r} cannot run {kind} ({function.__qualname__})"
        )
    if wanted == "process" and "<locals>" in function.__qualname__:
        raise TaskDefinitionError(
            f"{function.__qualname__}: a process task must stand at module level, "
            "where its process can import it"
        )
    return wanted


def _not_negative(delay: float | None) -> float:
    valid, fits = SECONDS
    if delay is not None and not fits(delay):
        raise ConfigurationError(f"delay={delay!r}: must be {valid}")
    return delay or 0.0


def _instant(eta: datetime | None, delay: float | None) -> int | None:
    if eta is None:
        return None
    if delay is not None:
        raise ConfigurationError("give delay= or eta=, not both")
    if eta.tzinfo is None:
        raise ConfigurationError(f"eta={eta!r} has no time zone: use datetime.now(tz=…)")
    return round(eta.timestamp() * 1000)


def _plain(metadata: Mapping[str, object] | None, task: str) -> Mapping[str, object] | None:
    if metadata is not None:
        try:
            json.dumps(dict(metadata), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise PayloadError(f"task {task!r}: metadata is not plain JSON: {error}") from error
    return metadata
