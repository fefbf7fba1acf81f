"""A function that can be enqueued."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, Unpack, cast, overload

from offload.codec import Signature
from offload.core.errors import ConfigurationError
from offload.core.job import NewJob
from offload.core.options import checked, over
from offload.tasks.bridge import blocking
from offload.tasks.canvas import Step
from offload.tasks.definition import (
    TaskOptions,
    check_keys,
    default_name,
    error_types,
    executor_of,
    lane_of,
    limits_of,
    require_function,
)
from offload.tasks.draft import BatchOptions, CallOptions, Draft
from offload.tasks.handle import JobHandle, handles
from offload.tasks.hooks import Hooks
from offload.tasks.ports import Jobs

P = ParamSpec("P")
Q = ParamSpec("Q")
Call = TypeVar("Call")
R = TypeVar("R")
T = TypeVar("T")


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
        **options: Unpack[TaskOptions],
    ) -> None:
        """Make a task of `function`.

        Raises:
            ConfigurationError: an option is unknown or wrong; the message names the valid ones.
            TaskDefinitionError: it does not fit the function.
        """
        require_function(function, name)
        options = checked(options, TaskOptions)
        self.function = function
        self.name = name or default_name(function)
        self.options = options
        self.executor = executor_of(function, options)
        self.retry_on = error_types(options.get("retry_on"))
        self.no_retry_on = error_types(options.get("no_retry_on")) or ()
        self.limits = limits_of(self.executor, options)
        self.hooks = Hooks()
        self.lane = lane_of(self.name, options)
        check_keys(function, options)
        self.signature = Signature(function, self.name, jobs.caps)
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", self.name)
        self.__wrapped__ = function
        self.jobs = jobs

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """Run the function directly: nothing is stored."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Task {self.name}>"

    # --- enqueuing -----------------------------------------------------------------------

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueue a call. When this returns, the job is durable.

        Raises:
            ArgumentError, PayloadTooLarge, PayloadError: the arguments do not fit.
            DuplicateJob: its unique key is held, and the task says to reject then.
            StoreError: the store could not take it; the job is not there.
        """
        return (await self._enqueue([self._plain.job(args, kwargs)]))[0]

    delay = blocking(adelay)

    async def aapply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        connection: object = None,
        **options: Unpack[CallOptions],
    ) -> JobHandle[R]:
        """Enqueue a call with options of its own, which come before the task's and the queue's.

        Args:
            args: positional arguments.
            kwargs: named arguments.
            connection: of a database of yours: the job is enqueued if and when the transaction
                that it is in commits, and never if it is rolled back; see `Queue.outbox`.
            options: delay, eta, priority, queue, unique_key, unique, depends_on,
                on_parent_failure, expires, timeout, max_retries, retry_backoff,
                max_retry_delay, retry_delays, result_ttl, metadata, tags, job_id.

        Raises:
            ArgumentError, PayloadTooLarge, PayloadError: the arguments do not fit.
            ConfigurationError: an option is unknown or has a wrong value.
            DuplicateJob: its unique key is held, and the call said to reject then.
            DependencyError: it cannot wait for that job.
            StoreError: the store could not take it; the job is not there.
        """
        jobs = [self.new_job(args, kwargs or {}, **options)]
        return (await self._enqueue(jobs, connection))[0]

    apply_async = blocking(aapply_async)

    async def amap(
        self,
        calls: Iterable[Sequence[Any]],
        *,
        connection: object = None,
        **options: Unpack[BatchOptions],
    ) -> list[JobHandle[R]]:
        """Enqueue a job for each tuple of arguments, all in one transaction; as `aapply_async`."""
        return await self._enqueue(self.new_jobs(calls, **options), connection)

    map = blocking(amap)

    async def _enqueue(
        self, jobs: Sequence[NewJob], connection: object = None
    ) -> list[JobHandle[R]]:
        return handles(await self.jobs.enqueue(jobs, connection), self.jobs)

    # --- requests, of which nothing is stored yet ----------------------------------------

    def new_job(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Unpack[CallOptions]
    ) -> NewJob:
        """Return the request for a call; as `apply_async`."""
        return self.draft(options).job(args, kwargs)

    def new_jobs(
        self, calls: Iterable[Sequence[Any]], **options: Unpack[BatchOptions]
    ) -> Sequence[NewJob]:
        """Return a request for each tuple of arguments, all with the same options.

        Raises:
            ArgumentError: an entry is no tuple or list, or does not fit.
        """
        return self.batch_draft(options).jobs(calls)

    def batch_draft(self, options: BatchOptions) -> Draft:
        """Return what makes the requests of several calls with these options.

        Raises:
            ConfigurationError: an option is wrong, or is one that only a single call can have.
        """
        if "job_id" in options:
            raise ConfigurationError(
                "job_id= for several calls: each job has its own; leave it out"
            )
        return self.draft(cast("CallOptions", options))

    def draft(self, options: CallOptions) -> Draft:
        """Return what makes the requests of a call with these options."""
        return self._draft(options) if options else self._plain

    @cached_property
    def _plain(self) -> Draft:
        # What holds for every call that says nothing: worked out once, not for each job.
        return self._draft(CallOptions())

    def _draft(self, said: CallOptions) -> Draft:
        key = self.options.get("limit_key")
        return Draft(self.name, self.signature, self._weaker, said, lane=self.lane, limit_key=key)

    @cached_property
    def _weaker(self) -> Mapping[str, Any]:
        return over(self.options, self.jobs.defaults)

    # --- calls to be made later ----------------------------------------------------------

    @overload
    def s(self, /, *args: P.args, **kwargs: P.kwargs) -> Step[R]: ...

    @overload
    def s(
        self: "Task[Concatenate[Any, Q], Call, R]", /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Step[R]: ...

    def s(self, /, *args: Any, **kwargs: Any) -> Step[Any]:
        """Return a call for a `chain`, `group` or `chord`.

        What comes after another call gets its result as the first argument; give the others.
        """
        return Step(self, args, kwargs, takes=True)

    def si(self, /, *args: P.args, **kwargs: P.kwargs) -> Step[R]:
        """Return a call for a `chain`, `group` or `chord`, which takes no result."""
        return Step(self, args, kwargs, takes=False)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.jobs.run(coroutine)
