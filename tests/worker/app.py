"""The application whose tasks the tests run, in their own process and in real workers.

The environment says in which folder, so that all processes of one test meet there, and those
of no other test. Every task is told by its argument what to do.
"""

import contextlib
import ctypes
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from asyncio import CancelledError, Event
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import Any

import offload.worker.janitor
import offload.worker.worker
from offload import (
    Abort,
    JobContext,
    JobTimeout,
    Limits,
    Queue,
    Retry,
    Snooze,
    current_job,
    isolated,
)

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
    os.environ.get("OFFLOAD_TEST_URL", str(FOLDER / "jobs.db")),
    lease=LEASE,
    heartbeat=min(5.0, LEASE / 8),
    max_retries=0,
    retry_backoff=0.001,
)


VARIABLE: ContextVar[str] = ContextVar("variable")


@queue.middleware
def wrap(job: JobContext) -> Iterator[None]:
    """Tell those who ask that their function is wrapped."""
    if job.job.payload == b'[["wrapped"],{}]':
        job.log(f"wrapped in {os.getpid()}")
        VARIABLE.set("set by middleware")
    yield
    if job.job.payload == b'[["wrapped"],{}]':
        say("wrapped", os.getpid())


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


def wait_outside() -> int:
    """Wait at the first gate for no job at all, and return this process."""
    say("started", os.getpid())
    pipe = os.open(FOLDER / "gate-1", os.O_RDONLY)
    try:
        os.read(pipe, 1)
    finally:
        os.close(pipe)
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
        "tags": list(current_job.tags),
        "key": current_job.idempotency_key,
        "remaining": (current_job.remaining or 0) > 0,
        "pid": os.getpid(),
    }


def tell(number: int) -> None:
    """Publish and log so many times, then say what the progress was."""
    for n in range(number):
        current_job.publish((n, "é"))
        current_job.log(f"line {n}", "debug", n=n)
    current_job.update_progress(99, "all told", {"told": number})


def shout() -> None:
    """Publish more than may wait, and say when that is done."""
    for _ in range(20):
        current_job.publish("x" * 500_000)
    say("shouted")


def last_words() -> None:
    """Say something, and die at once."""
    tell(100)
    os._exit(7)


def fill(size: int) -> int:
    """Hold so many bytes of memory."""
    return len(bytearray(size))


def burn(seconds: float) -> str:
    """Use the processor, in Python."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "burnt"


def burn_deaf() -> None:
    """Use the processor in one call of C that does not end."""
    sum(itertools.repeat(1))  # unlike `re`, this never looks for signals


def recurse() -> None:
    """Go deeper for ever."""
    recurse()


def multiply() -> None:
    """Start many processes, say one of them, and wait."""
    child = 0
    for _ in range(50):
        child = os.fork()
        if not child:
            signal.pause()
    say("multiplied", child)
    signal.pause()


def rest() -> str:
    """Wait for longer than the processor time that there is."""
    current_job.wait_stopped(1)
    return "rested"


def call_home() -> str:
    """Connect to the port that the test says, on this host."""
    port = int((FOLDER / "port").read_text())
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        return "connected"


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
    "snooze": lambda: throw(Snooze(3600)),
    "tell": lambda: tell(10_000),
    "last words": last_words,
    "shout": shout,
    "fill": lambda: fill(400_000_000),
    "fill a little": lambda: fill(1_000_000),
    "burn": lambda: burn(60),
    "burn a little": lambda: burn(0.3),
    "burn deaf": burn_deaf,
    "rest": rest,
    "recurse": recurse,
    "multiply": multiply,
    "call home": call_home,
    "segfault": lambda: ctypes.string_at(0),
    "huge": lambda: "x" * 1_000_000_000,
    "flood": lambda: sys.stdout.write("x" * 50_000_000),
    "wrapped": VARIABLE.get,
    "environment": lambda: dict(os.environ),
    "grow": grow,
    "wait outside": wait_outside,
    "process": os.getpid,
    "name": lambda: current_job.id,
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


FROM_TEST = ("OFFLOAD_TEST_FOLDER", "OFFLOAD_TEST_LEASE")


@queue.task(executor="process", limits=Limits(memory="300 MB", env=FROM_TEST))
def in_little(deed: str) -> Any:
    """Do it with little memory."""
    return DEEDS[deed]()


@queue.task(executor="process", limits=Limits(cpu=0.5, env=FROM_TEST))
def in_haste(deed: str) -> Any:
    """Do it with little time."""
    return DEEDS[deed]()


@queue.task(executor="process", limits=Limits(network=False, env=FROM_TEST))
def in_cell(deed: str) -> Any:
    """Do it without a network."""
    return DEEDS[deed]()


@queue.task(executor="process", limits=Limits(memory=1_000_000, env=FROM_TEST))
def in_nothing(deed: str) -> Any:
    """Do it with less memory than the interpreter has."""
    return DEEDS[deed]()


def alone(deed: str) -> Any:
    """Do it where `isolated` puts it."""
    return DEEDS[deed]()


async def aloof(deed: str) -> Any:
    """Be what `isolated` does not take."""
    return DEEDS[deed]()


def reversed_words(words: tuple[str, ...], start: date) -> dict[date, tuple[str, ...]]:
    """Take and give what JSON has no words for."""
    return {start: words[::-1]}


ANYTHING = Limits(env=FROM_TEST)


@queue.task
async def in_isolation(deed: str) -> Any:
    """Have it done by a function that is isolated from this one."""
    return await isolated(alone, deed, limits=ANYTHING)


TASKS = {"thread": in_thread, "process": in_process, "async": in_loop}
