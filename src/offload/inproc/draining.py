"""The end of a process: request tasks get their time, and no more."""

import asyncio
import logging
from collections import Counter

from offload.inproc.runner import Runner

CLEANUP = 1.0
"""Seconds that what was cancelled has for its cleanup."""
QUIET = 1.0
"""Seconds that a shutdown waits without a word to whoever has pressed Ctrl-C."""

log = logging.getLogger("offload.inproc")


async def drain(runner: Runner) -> None:
    """Take no more tasks, and return when all have ended or their time is over.

    Every task has `drain_timeout`; shielded ones have `shield_timeout`, from the same moment.
    Then they are cancelled, or become jobs if they can, and have a second for that. So it takes
    `shield_timeout` and a second at most, whatever tasks do.
    """
    telling = asyncio.get_running_loop().call_later(QUIET, _tell, runner)
    try:
        await _drain(runner)
    finally:
        telling.cancel()


async def _drain(runner: Runner) -> None:
    loop, options = asyncio.get_running_loop(), runner.options
    end = loop.time() + options.shield_timeout
    runner.closed = True
    if await runner.idle(options.drain_timeout):
        return
    _shut(runner, shielded=False)
    if any(task.options.shield for task in runner.unfinished()):
        await runner.idle(end - loop.time())
        _shut(runner, shielded=True)
    await runner.idle(CLEANUP)
    if rest := [f"{task.name} ({task.id})" for task in {*runner.unfinished(), *runner.left()}]:
        log.error(
            "shutdown goes on without %d request tasks that do not stop: %s",
            len(rest),
            ", ".join(rest),
        )


def _tell(runner: Runner) -> None:
    tasks, options = runner.unfinished(), runner.options
    is_long = any(task.options.shield for task in tasks)
    if names := Counter(task.name for task in tasks):
        # A warning is shown even where nobody has set up a log.
        log.warning(
            "the shutdown waits for request tasks, %g s at most: %s",
            options.shield_timeout if is_long else options.drain_timeout,
            ", ".join(f"{name} ({count})" for name, count in names.items()),
        )


def _shut(runner: Runner, *, shielded: bool) -> None:
    for task in runner.unfinished():
        if shielded or not task.options.shield:
            log.warning("request task %s %s is stopped by the shutdown", task.id, task.name)
            runner.shut(task)
