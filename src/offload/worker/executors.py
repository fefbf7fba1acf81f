"""Where functions run: `async def` on the user's loop, `def` in threads.

What a stop can do in each is written on `Executor.stop`; processes are in `processes.py`.
"""

import asyncio
import contextvars
import queue
import threading
from collections.abc import Iterable
from typing import Protocol

from offload.tasks.context import enter
from offload.worker.run import Run


class Executor(Protocol):
    """Runs functions; its methods are called on the worker's control loop and never block."""

    def start(self, run: Run) -> None:
        """Run the job's function, end the run with its outcome, go on with its follower."""

    def stop(self, run: Run) -> None:
        """Make the run stop for `run.stop`, as far as that is possible.

        A coroutine gets `CancelledError` at its next await. A thread cannot be stopped: its
        function learns it from `current_job.check_cancelled()`. A process is killed, or first
        asked with an exception if only its time is up.
        """

    def abandon(self, run: Run) -> None:
        """Give up on a run that was stopped and still goes on; its end was reported already."""

    def kin(self) -> Iterable[int]:
        """Return the processes that must not outlive the worker."""

    async def close(self) -> None:
        """Let go of threads and processes."""


class AsyncExecutor:
    """Coroutines on the loop that the worker was started on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run on `loop`."""
        self._loop = loop
        self._tasks: dict[Run, asyncio.Task[None]] = {}

    def start(self, run: Run) -> None:
        """Create a task on the user's loop, with a context of its own."""
        self._loop.call_soon_threadsafe(self._create, run, context=contextvars.Context())

    def stop(self, run: Run) -> None:
        """Cancel the task."""
        self._loop.call_soon_threadsafe(self._cancel, run)

    def abandon(self, run: Run) -> None:
        """Cancel once more; a coroutine that swallows its cancellation stays."""
        self.stop(run)

    def kin(self) -> Iterable[int]:
        """There are none."""
        return ()

    async def close(self) -> None:
        """The user's loop is not ours to close."""

    def _create(self, run: Run) -> None:
        if not run.begin():
            self._follow(run)
            return
        run.start_clock()
        task = self._loop.create_task(self._run(run), name=f"job-{run.job.id}")
        self._tasks[run] = task
        task.add_done_callback(lambda _: self._done(run))

    def _cancel(self, run: Run) -> None:
        task = self._tasks.get(run)
        if task is not None:
            task.cancel()

    async def _run(self, run: Run) -> None:
        enter(run.context)
        try:
            args, kwargs = run.signature.decode_arguments(run.job.payload)
            run.end(run.returned(await run.acall(args, kwargs)))
        except asyncio.CancelledError as error:
            run.end(run.raised(error) if run.stop is None else run.stopped())
        except BaseException as error:  # noqa: BLE001 - SystemExit must not end the user's loop
            run.end(run.raised(error))

    def _done(self, run: Run) -> None:
        del self._tasks[run]
        run.end(run.stopped())  # cancelled before its first step, the coroutine was never entered
        self._follow(run)

    def _follow(self, run: Run) -> None:
        follower = run.follow()
        if follower is not None:
            self._loop.call_soon(self._create, follower, context=contextvars.Context())


class ThreadExecutor:
    """Plain functions in threads of our own: one that hangs is left behind and replaced."""

    def __init__(self, threads: int) -> None:
        """Keep `threads` threads at work, started when they are first needed."""
        self._most = threads
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0
        self._running: set[Run] = set()
        self._lock = threading.Lock()

    def start(self, run: Run) -> None:
        """Hand the run to a thread."""
        with self._lock:
            self._busy += 1
            if self._threads < min(self._busy, self._most):
                self._threads += 1
                threading.Thread(target=self._work, name="offload-task", daemon=True).start()
        self._runs.put(run)

    def stop(self, run: Run) -> None:
        """Nothing more can be done: the run's context has been told."""

    def abandon(self, run: Run) -> None:
        """Count the thread out; it goes when its function returns, if it ever does."""
        if self._took_out(run):
            with self._lock:
                self._threads -= 1
                self._busy -= 1

    def kin(self) -> Iterable[int]:
        """There are none."""
        return ()

    async def close(self) -> None:
        """Let idle threads go; daemon threads hold no exit up."""
        for _ in range(self._threads):
            self._runs.put(None)

    def _work(self) -> None:
        while (run := self._runs.get()) is not None:
            while run is not None:
                if not self._ran(run):
                    return
                run = run.follow()
            with self._lock:
                self._busy -= 1

    def _ran(self, run: Run) -> bool:
        """Run it, and say whether this thread is still wanted."""
        if not run.begin():
            return True
        self._running.add(run)
        run.start_clock()
        contextvars.Context().run(self._run, run)
        return self._took_out(run)

    def _took_out(self, run: Run) -> bool:
        """Say whether nobody else, its thread or who abandons it, has taken the run out before."""
        try:
            self._running.remove(run)  # at once, and so without the lock
        except KeyError:
            return False
        return True

    def _run(self, run: Run) -> None:
        enter(run.context)
        try:
            args, kwargs = run.signature.decode_arguments(run.job.payload)
            run.end(run.returned(run.call(args, kwargs)))
        except BaseException as error:  # noqa: BLE001 - SystemExit must not end the thread
            run.end(run.raised(error))
