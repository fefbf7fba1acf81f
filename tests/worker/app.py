"""The application whose tasks the tests run, in their own process and in real workers.

The environment says in which folder, so that all processes of one test meet there, and those
of no other test. Every task is told by its argument what to do.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from asyncio import CancelledError, Event
from collections.abc import Callable
from pathlib import Path
from typing import Any

import offload.worker.janitor
import offload.worker.worker
from offload import Abort, JobTimeout, Queue, Retry, current_job

FOLDER = Path(os.environ["OFFLOAD_TEST_FOLDER"])
LEASE = float(os.environ.get("OFFLOAD_TEST_LEASE", "3600"))

# A test that waits for a take-over waits for the lease, and not for the janitor's next round.
offload.worker.janitor.EVERY = 0.2

if "OFFLOAD_TEST_HARD" in os.environ:
    offload.worker.worker.HARD_AFTER = float(os.environ["OFFLOAD_TEST_HARD"])

match sys.argv[0].endswith("member.py") and os.environ.get("OFFLOAD_TEST_MEMBERS"):
    case "broken":
        raise ImportError("broken for members")
    case "die twice":
        with (FOLDER / "born").open("a+") as born:
            born.write(".")
            if born.tell() <= 2:
                os._exit(5)

MEMORY: list[bytes] = []

queue = Queue(
    db_path=str(FOLDER / "jobs.db"),
    lease=LEASE,
    heartbeat=min(5.0, LEASE / 8),
    max_retries=0,
    retry_backoff=0.001,
)


def say(*words: object) -> None:
    """Tell the test."""
    pipe = os.open(FOLDER / "said", os.O_WRONLY)
    os.write(pipe, (" ".join(map(str, words)) + "\n").encode())
    os.close(pipe)


def note(*words: object) -> None:
    """Leave an effect that shows who had it."""
    line = " ".join(map(str, [*words, current_job.id, current_job.fencing_token, os.getpid()]))
    with (FOLDER / "effects").open("a") as effects:
        effects.write(line + "\n")


def pass_gate() -> str:
    """Wait until the test opens the gate of this run, without looking at anything else."""
    say("started", os.getpid())
    pipe = os.open(FOLDER / f"gate-{current_job.fencing_token}", os.O_RDONLY)
    try:
        os.read(pipe, 1)
    finally:
        os.close(pipe)
    note("passed")
    return f"lease {current_job.fencing_token}"


class OddError(BaseException):
    """What no `except Exception` catches."""


def throw(error: BaseException) -> None:
    """Raise, as an expression."""
    raise error


def fail_twice() -> str:
    """Succeed with the third attempt."""
    if current_job.retry_count < 2:
        raise ValueError(f"attempt {current_job.retry_count}")
    return "third time lucky"


def look() -> str:
    """Wait to be asked to stop, and obey."""
    say("started", os.getpid())
    current_job.wait_stopped(60)
    current_job.check_cancelled()
    return "nobody asked"


def stumble() -> None:
    """Wait to be asked to stop, and fail of something else."""
    say("started", os.getpid())
    current_job.wait_stopped(60)
    raise ValueError("stumbled on the way out")


def hog() -> None:
    """Keep the interpreter's lock in one call of C that does not end."""
    say("started", os.getpid())
    re.match(r"(a+)+$", "a" * 64 + "b")


def grow() -> int:
    """Occupy memory for good."""
    MEMORY.append(b"x" * 200_000_000)
    return os.getpid()


def tell_progress() -> str:
    """Report, and wait until the test has seen it."""
    current_job.update_progress(40)
    return pass_gate()


def stay() -> None:
    """Hear that the time is up, say so, and go on regardless."""
    with contextlib.suppress(JobTimeout):
        pass_gate()
    say("soft")
    pass_gate()


def adopt() -> None:
    """Start a program that does not end by itself, say its id, and wait."""
    program = "import signal; signal.pause()"
    say("adopted", subprocess.Popen([sys.executable, "-c", program]).pid)
    pass_gate()


def orphan() -> None:
    """Die at once, with a program left behind."""
    program = "import signal; signal.pause()"
    say("adopted", subprocess.Popen([sys.executable, "-c", program]).pid)
    os._exit(9)


def fork() -> None:
    """Have a copy of this process that lives on, with all that it has open."""
    child = os.fork()
    if not child:
        while True:
            signal.pause()
    say("forked", child)
    pass_gate()


def describe() -> dict[str, Any]:
    """Say all that a task can know of itself."""
    return {
        "id": current_job.id,
        "task": current_job.task_name,
        "queue": current_job.queue_name,
        "retries": current_job.retry_count,
        "token": current_job.fencing_token,
        "metadata": dict(current_job.metadata),
        "pid": os.getpid(),
    }


DEEDS: dict[str, Callable[[], Any]] = {
    "return": lambda: "done",
    "boom": lambda: throw(ValueError("boom")),
    "abort": lambda: throw(Abort("no use")),
    "again": lambda: throw(Retry("not yet", delay=0)),
    "later": lambda: throw(Retry("not yet", delay=3600)),
    "exit": lambda: throw(SystemExit(3)),
    "interrupt": lambda: throw(KeyboardInterrupt()),
    "generator": lambda: throw(GeneratorExit()),
    "cancelled": lambda: throw(CancelledError()),
    "odd": lambda: throw(OddError("odd")),
    "unencodable": object,
    "die": lambda: os._exit(7),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "gate": pass_gate,
    "fail twice": fail_twice,
    "look": look,
    "stumble": stumble,
    "hog": hog,
    "progress": tell_progress,
    "stay": stay,
    "adopt": adopt,
    "orphan": orphan,
    "fork": fork,
    "describe": describe,
    "grow": grow,
}


@queue.task
def in_thread(deed: str) -> Any:
    """Do it in a thread."""
    note(deed)
    return DEEDS[deed]()


@queue.task(executor="process")
def in_process(deed: str) -> Any:
    """Do it in a process of its own."""
    note(deed)
    return DEEDS[deed]()


@queue.task
async def in_loop(deed: str) -> Any:
    """Do it on the event loop."""
    note(deed)
    if deed == "wait":
        say("started", os.getpid())
        await Event().wait()
    while deed == "swallow":
        say("started", os.getpid())
        with contextlib.suppress(CancelledError):
            await Event().wait()
    return DEEDS[deed]()


TASKS = {"thread": in_thread, "process": in_process, "async": in_loop}
