"""What runs on the hosts: the application of the worker's tests, and some more."""

import os
import time

import offload.worker.janitor
from offload import current_job
from tests.worker.app import in_thread, note, pass_gate, queue, say
from tests.worker.ticking import tick

__all__ = ["in_thread", "queue", "tick"]

HOST = os.environ.get("OFFLOAD_TEST_HOST", "")
PACE = 0.15
"""Seconds between two reports: more than the streams' own pace."""
TOGETHER = 3

offload.worker.janitor.EVERY = 0.2


@queue.task(max_retries=3)
def hold() -> str:
    """Wait until the test says, and say so."""
    lease = pass_gate()
    say("passed", HOST)
    return lease


@queue.task(max_concurrency=TOGETHER)
def narrow() -> str:
    """Be one of a few at a time, and say when."""
    note("in", HOST, time.monotonic())
    current_job.wait_stopped(0.05)
    note("out", HOST, time.monotonic())
    return HOST


@queue.task(rate_limit="20/s")
def slow() -> str:
    """Be one of a few in a second."""
    return HOST


@queue.task
def tell(times: int) -> str:
    """Report so often once somebody listens, and note when."""
    pass_gate()
    for number in range(1, times + 1):
        current_job.wait_stopped(PACE)
        note("told", number, time.monotonic())
        current_job.update_progress(number)
    current_job.wait_stopped(PACE)
    return HOST
