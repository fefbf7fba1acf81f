"""Tells a program's hooks what happened to its jobs: later, elsewhere, and whatever they do."""

import asyncio
import logging
import threading
from collections.abc import Coroutine, Iterable
from inspect import iscoroutine
from queue import Empty, Full, Queue
from typing import Any

from offload.core.job import Job
from offload.core.records import Finish
from offload.core.states import Move, State, target
from offload.tasks.hooks import Happening, Hook, Hooks, JobEvent

log = logging.getLogger("offload.worker")

MOST_WAITING = 10_000
"""Events that wait for slow hooks; what comes on top is not told."""
PATIENCE = 30.0
"""Seconds that a coroutine hook may take."""

HAPPENINGS = {
    Move.COMPLETE: Happening.SUCCESS,
    Move.RETRY: Happening.RETRY,
    Move.FAIL: Happening.FAILURE,
    Move.BURY: Happening.FAILURE,
    Move.CANCEL: Happening.CANCEL,
}


class Teller:
    """Calls hooks one after the other in a thread of its own, and survives all that they raise.

    A hook that never returns keeps those after it from being called, and nothing else.
    """

    def __init__(self, hooks: Hooks, user_loop: asyncio.AbstractEventLoop) -> None:
        """Tell `hooks`; coroutines run on `user_loop`."""
        self._hooks = hooks
        self._loop = user_loop
        self._events: Queue[JobEvent] = Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.failed = 0
        """How often a hook raised."""
        self.untold = 0
        """How many events no hook heard of, because too many were waiting."""

    def started(self, job: Job) -> None:
        """Tell of a function that has started; from any thread."""
        if self._hooks:
            self._tell(_event(job, Happening.START, State.RUNNING))

    def stored(self, ends: Iterable[tuple[Job, Finish]]) -> None:
        """Tell of ends that are stored."""
        if not self._hooks:
            return
        for job, finish in ends:
            if (happening := HAPPENINGS.get(finish.move)) is not None:
                self._tell(_event(job, happening, target(State.RUNNING, finish.move), finish))

    async def close(self, seconds: float) -> None:
        """Wait for what is still to be told, `seconds` at most."""
        thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join, seconds)
            if thread.is_alive():
                log.warning("hooks still run or wait to be called as the worker stops")

    def _tell(self, event: JobEvent) -> None:
        if not self._hooks.of(event.happening):
            return
        with self._lock:
            try:
                self._events.put_nowait(event)
            except Full:
                self.untold += 1
                if self.untold == 1:
                    log.warning("hooks are too slow: more than %d events wait", MOST_WAITING)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="offload-hooks", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while (event := self._next()) is not None:
            for hook in self._hooks.of(event.happening):
                self._call(hook, event)

    def _next(self) -> JobEvent | None:
        """Return the next event; without one the thread ends, and the next event starts another."""
        with self._lock:
            try:
                return self._events.get_nowait()
            except Empty:
                self._thread = None
                return None

    def _call(self, hook: Hook, event: JobEvent) -> None:
        try:
            called = hook(event)
            if iscoroutine(called):
                self._await(called)
        except BaseException:  # a SystemExit, too, is only this hook's
            self.failed += 1
            log.exception("hook %r failed on %s", hook, event)

    def _await(self, called: Coroutine[Any, Any, object]) -> None:
        running = asyncio.run_coroutine_threadsafe(_guarded(called), self._loop)
        try:
            running.result(PATIENCE)
        except TimeoutError:
            running.cancel()
            raise


async def _guarded(called: Coroutine[Any, Any, object]) -> None:
    try:
        await called
    except (KeyboardInterrupt, SystemExit) as error:
        raise RuntimeError("a hook must not end its worker") from error  # asyncio would


def _event(job: Job, happening: Happening, state: State, finish: Finish | None = None) -> JobEvent:
    return JobEvent(
        happening,
        job.id,
        job.task,
        job.queue,
        job.attempt,
        str(state),
        error=finish.error if finish else None,
        seconds=finish.ran if finish else None,
        delay=finish.delay if finish and happening is Happening.RETRY else None,
    )
