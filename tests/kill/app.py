"""The application whose jobs a run is made of; each function writes down what it does.

The environment says in which folder the run is, where its queue, how long a lease is, and which
worker this is.
"""

import functools
import os
import signal
from asyncio import CancelledError, sleep
from pathlib import Path
from typing import Any

import offload.worker.janitor
from offload import Abort, Queue, Task, current_job
from tests.kill import history
from tests.kill.history import Acted, Dies, Left, Started
from tests.kill.processes import parents

FOLDER = Path(os.environ["OFFLOAD_KILL_FOLDER"])
LEASE = float(os.environ["OFFLOAD_KILL_LEASE"])
WORKER = os.environ.get("OFFLOAD_KILL_WORKER", "")

# A run waits for the lease, and not for the janitor's next round.
offload.worker.janitor.EVERY = LEASE / 4

queue = Queue(os.environ["OFFLOAD_KILL_URL"], workers=4, lease=LEASE, heartbeat=LEASE / 6)
pen = history.Pen(FOLDER / "history")


@functools.cache
def introduce() -> int:
    """Say which process this is, once, and return its id."""
    pid = os.getpid()
    pen.write(history.Process(pid=pid, parents=parents(pid), worker=WORKER))
    return pid


def start() -> None:
    """Write down that this run of the job has begun."""
    pid = introduce()
    attempt = current_job.retry_count + 1
    pen.write(
        Started(job=current_job.id, lease=current_job.fencing_token, attempt=attempt, pid=pid)
    )


def act(kind: str) -> None:
    """Have the effect, unless this kind of job fails before it could."""
    job, lease = current_job.id, current_job.fencing_token
    match kind:
        case "abort":
            leave("failed")
            raise Abort(f"lease {lease}")
        case "doomed":
            leave("failed")
            raise ValueError(f"lease {lease}")
        case "flaky" if current_job.retry_count < 2:
            leave("failed")
            raise ValueError(f"lease {lease}")
        case "poison":
            pen.write(Dies(job=job, lease=lease, pid=os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
    pen.write(Acted(job=job, lease=lease))


def leave(how: str) -> int:
    """Write down how this run ends, and return its lease, which is its result."""
    lease = current_job.fencing_token
    pen.write(Left(job=current_job.id, lease=lease, how=how))
    return lease


def work(kind: str, seconds: float) -> int:
    """Take the time, with the effect in the middle.

    A run that was taken over is told so and does not look: its late effect must be accounted
    for, and its late report refused.
    """
    start()
    current_job.wait_stopped(seconds / 2)
    act(kind)
    current_job.wait_stopped(seconds / 2)
    return leave("returned")


@queue.task
def in_thread(kind: str, seconds: float) -> int:
    """Do it in a thread."""
    return work(kind, seconds)


@queue.task(executor="process")
def in_process(kind: str, seconds: float) -> int:
    """Do it in a process of its own."""
    return work(kind, seconds)


@queue.task
async def in_loop(kind: str, seconds: float) -> int:
    """Do it on the event loop."""
    start()
    try:
        await sleep(seconds / 2)
        act(kind)
        await sleep(seconds / 2)
    except CancelledError:
        leave("stopped")
        raise
    return leave("returned")


TASKS: dict[str, Task[..., Any, int]] = {
    "in_thread": in_thread,
    "in_loop": in_loop,
    "in_process": in_process,
}
