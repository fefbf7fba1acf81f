"""The small protocol that lets tasks and handles reach jobs without knowing the queue."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from offload.codec import Caps
from offload.core.job import Job, NewJob
from offload.core.options import QueueOptions
from offload.core.records import Part
from offload.store.base import Store

T = TypeVar("T")


class Jobs(Protocol):
    """What a queue offers to its tasks and handles; the async methods work on any loop."""

    @property
    def defaults(self) -> QueueOptions:
        """The queue's own options, weaker than a task's."""

    @property
    def caps(self) -> Caps:
        """How large arguments and results may be."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one of the async methods for a synchronous caller."""

    async def call(self, operation: Callable[[Store], Awaitable[T]]) -> T:
        """Do something with the open store."""

    async def enqueue(self, jobs: Sequence[NewJob], connection: object = None) -> Sequence[Job]:
        """Store the jobs; see the store port. With a connection, in its transaction."""

    async def promise(self, jobs: Sequence[NewJob], connection: object) -> bool:
        """Write jobs that will be enqueued after the connection's commit into its outbox too.

        So they come in whatever becomes of this process. False if its database has no outbox.
        """

    async def wait(
        self, job_id: str, timeout: float | None, *, is_promised: bool = False
    ) -> Job | None:
        """Return the job once it is final, None if it is not there.

        One that `is_promised` may first be on its way for a while.

        Raises:
            TimeoutError: it was still not final after `timeout` seconds.
        """

    def watch(self, job_id: str, interval: float) -> AsyncGenerator[Job, None]:
        """Yield the job now and on every change, at most every `interval` seconds."""

    def published(self, job_id: str, after: int) -> AsyncGenerator[Part, None]:
        """Yield what the job publishes, from after that part, until it ends.

        Raises:
            JobPurged: it is not there, or not any more.
        """

    def decode_result(self, job: Job) -> object:
        """Return the result of a complete job as the task's annotation says."""
