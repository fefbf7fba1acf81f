"""How a program reaches its jobs: every call hops to the store's own event loop."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from offload.client.watcher import Watcher
from offload.codec import Caps, decode_untyped
from offload.core.errors import ConfigurationError, JobPurged
from offload.core.job import Job, NewJob
from offload.core.options import QueueOptions
from offload.core.records import Part
from offload.store.base import Blocking, Channel, Joining, Store
from offload.store.loop import IOLoop, is_driven
from offload.tasks.registry import Registry
from offload.transactions.links import linked
from offload.transactions.outboxes import Outboxes

T = TypeVar("T")

ARRIVAL = 30.0
"""Seconds for which a job that a transaction has promised is waited for."""
SLOW_POLL = 0.5

PARTS = 100
"""How many parts of a stream are read at a time."""


class Client:
    """Opens the store when it is first needed, and implements `offload.tasks.ports.Jobs`."""

    def __init__(
        self, store: Store, loop: IOLoop, registry: Registry, defaults: QueueOptions, caps: Caps
    ) -> None:
        """Reach the jobs in `store` through `loop`."""
        self.caps = caps
        self._registry = registry
        self._defaults = defaults
        self.outboxes = Outboxes(self.enqueue)
        self.connect(store, loop)

    def connect(self, store: Store, loop: IOLoop, patience: float | None = None) -> None:
        """Reach the jobs in this store from now on; what is under way ends on the one before.

        `patience` is how many seconds to wait for a result if nobody says, None for ever.
        """
        self.store = store
        self._blocking = store if isinstance(store, Blocking) else None
        self.loop = loop
        self._patience = patience
        self._opened = False
        self._watcher = Watcher(store)

    @property
    def defaults(self) -> QueueOptions:
        """The queue's own options."""
        return self._defaults

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one of the async methods for a synchronous caller."""
        return self.loop.drive(coroutine)

    async def call(self, operation: Callable[[Store], Awaitable[T]]) -> T:
        """Do something with the open store, from whatever loop this is."""
        if self._opened and self.store.capabilities.any_thread:
            return await operation(self.store)
        return await self.call_on_loop(operation)

    async def call_on_loop(self, operation: Callable[[Store], Awaitable[T]]) -> T:
        """Do something that waits for news or starts much at once: on the store's own loop."""
        return await self.loop.arun(self._call(operation))

    async def open(self) -> None:
        """Open the store now."""

        async def nothing(_: Store) -> None: ...

        await self.call_on_loop(nothing)

    async def _call(self, operation: Callable[[Store], Awaitable[T]]) -> T:
        await self._ready()
        return await operation(self.store)

    async def _ready(self) -> None:
        if not self._opened:
            # Opening twice is once, so callers that meet here need no lock.
            await self.store.open()
            self._opened = True

    async def close(self) -> None:
        """Finish what was accepted and close the store; the next call opens it again."""
        if is_driven():
            self.outboxes.stop()
        else:
            await asyncio.to_thread(self.outboxes.stop)

        async def closing() -> None:
            self._watcher.stop()
            self._opened = False
            await self.store.close()

        await self.loop.arun(closing())

    async def enqueue(self, jobs: Sequence[NewJob], connection: object = None) -> Sequence[Job]:
        """Store the jobs durably; with a connection, if and when its transaction commits.

        Raises:
            ConfigurationError: nothing leads from that connection to the queue.
        """
        if connection is None:
            cursor = self.store.cursor(Channel.CHANGED)
            stored = await self._enqueued(jobs)
            if len(stored) == 1:
                self._watcher.note(stored[0], cursor)
            return stored
        link = linked(connection)
        if link.is_async and is_driven():
            raise ConfigurationError(
                "the connection is asynchronous: await the a-twin of this method"
            )
        if isinstance(self.store, Joining):
            await self.open()
            joined = await self.store.join(await link.driver())
            if joined is not None:
                return await joined.enqueue(jobs)
        return await self.outboxes.put(link, jobs)

    async def _enqueued(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        if self._opened and self._blocking is not None and is_driven():
            stored = await self._blocking.enqueue_here(jobs)
            if stored is not None:
                return stored
        return await self.call(lambda store: store.enqueue(jobs))

    async def promise(self, jobs: Sequence[NewJob], connection: object) -> bool:
        """Write jobs into the outbox of the connection's database, if that has one."""
        link = linked(connection)
        is_there = self.outboxes.has(link)
        if is_there:
            await self.outboxes.put(link, jobs)
        return is_there

    async def wait(
        self, job_id: str, timeout: float | None, *, is_promised: bool = False
    ) -> Job | None:
        """Return the job once it is final, None if it is not there."""

        async def waiting(_: Store) -> Job | None:
            limit = self._patience if timeout is None else timeout
            if is_promised:
                limit = await self._arrival(job_id, limit)
            return await self._wait(job_id, limit)

        return await self.call_on_loop(waiting)

    async def _arrival(self, job_id: str, limit: float | None) -> float | None:
        """Wait until a promised job is there, and return what is left of the time."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(ARRIVAL if limit is None else max(limit, 0.001)):
                cursor = self.store.cursor(Channel.READY)
                while (await self.store.get([job_id]))[0] is None:
                    await self.store.wait(Channel.READY, cursor, SLOW_POLL)
                    cursor = self.store.cursor(Channel.READY)
        except TimeoutError:
            if limit is not None:
                raise TimeoutError(
                    f"job {job_id} is not in the queue after {limit:g} s: "
                    "its transaction may still commit, and then it is"
                ) from None
        return None if limit is None else limit - (time.monotonic() - began)

    async def _wait(self, job_id: str, limit: float | None) -> Job | None:
        watcher, job = self._watcher, None
        subscription = await watcher.subscribe(job_id, anew=limit == 0)  # 0 is to look
        try:
            async with asyncio.timeout(limit if limit is None else max(limit, 0.001)):
                while (job := await subscription.next()) is not None and not job.is_final:
                    pass
        except TimeoutError:
            state = "not finished" if job is None else f"still {job.state}"
            # Of a group, each job has what the others have left of the time.
            waited = round(limit or 0, 2)
            raise TimeoutError(f"job {job_id} is {state} after {waited:g} s; it goes on") from None
        finally:
            watcher.unsubscribe(subscription)
        return job

    async def watch(self, job_id: str, interval: float) -> AsyncGenerator[Job, None]:
        """Yield the job now and on every change, until it is final or gone."""
        loop, watcher = self.loop, self._watcher
        subscription = await self.call_on_loop(lambda _: watcher.subscribe(job_id))
        try:
            while (job := await loop.arun(subscription.next())) is not None:
                yield job
                if job.is_final:
                    return
                await loop.arun(subscription.pause(interval))
        finally:
            # Not awaited: whoever iterates may be cancelled again while this cleans up.
            loop.call_soon(lambda: watcher.unsubscribe(subscription))

    async def published(self, job_id: str, after: int) -> AsyncGenerator[Part, None]:
        """Yield what a job publishes, from after that part, until it ends.

        Raises:
            JobPurged: it is not there, or not any more.
        """
        async with aclosing(self.watch(job_id, 0.0)) as changes:
            is_final = False
            async for job in changes:
                # Read after the job: what a job published is stored before its end.
                while parts := await self._parts(job_id, after):
                    for part in parts:
                        yield part
                        after = part.id
                is_final = job.is_final
        if not is_final:
            raise JobPurged(job_id, "", f"job {job_id} is not there any more: it was purged")

    async def _parts(self, job_id: str, after: int) -> list[Part]:
        return await self.call(lambda store: store.parts(job_id, after, PARTS))

    def decode_result(self, job: Job) -> object:
        """Return the result of a complete job, by the task's annotation if it is known here."""
        task = self._registry.find(job.task)
        data = job.result or b"null"
        return decode_untyped(data) if task is None else task.signature.decode_result(data)
