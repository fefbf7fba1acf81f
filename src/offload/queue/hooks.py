"""How a program says what it wants to be told of its jobs."""

from typing import TypeVar

from offload.tasks.hooks import Happening, Hook, Middleware
from offload.tasks.registry import Registry

H = TypeVar("H", bound=Hook)
M = TypeVar("M", bound=Middleware)


class HookMethods:
    """The part of `Queue` that registers hooks and middleware.

    A hook is a function or a coroutine function that takes a `JobEvent`. It is called in the
    worker that ran the job, after the fact is stored, one hook after the other: plain ones in a
    thread, coroutines on the worker's loop. What a hook raises is logged and changes nothing.
    No hook hears of what is decided without a worker: a pending job that is cancelled or
    expires, or a job whose whole worker died.
    """

    tasks: Registry

    def on_start(self, hook: H) -> H:
        """Call `hook` when a function starts."""
        return self._on(Happening.START, hook)

    def on_success(self, hook: H) -> H:
        """Call `hook` when a job is complete."""
        return self._on(Happening.SUCCESS, hook)

    def on_retry(self, hook: H) -> H:
        """Call `hook` when an attempt failed and another one follows."""
        return self._on(Happening.RETRY, hook)

    def on_failure(self, hook: H) -> H:
        """Call `hook` when a job has failed for good: it is `failed` or `dead`."""
        return self._on(Happening.FAILURE, hook)

    def on_cancel(self, hook: H) -> H:
        """Call `hook` when a running job was cancelled."""
        return self._on(Happening.CANCEL, hook)

    def middleware(self, function: M) -> M:
        """Run a generator function around every run: `yield` stands for the task's function.

        It gets the `JobContext` and runs where the function runs, in its thread, coroutine or
        process. It is part of the run: an error in it fails the attempt, one that it swallows
        is swallowed (the result is None). It must not block where coroutines run.

        Raises:
            ConfigurationError: it is no generator function.
        """
        self.tasks.hooks.wrap(function)
        return function

    def _on(self, happening: Happening, hook: H) -> H:
        self.tasks.hooks.add(happening, hook)
        return hook
