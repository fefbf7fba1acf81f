"""Workers to be watched and hurt: in this process, and as the real command."""

import asyncio
import os
import select
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from offload import JobHandle, Queue
from offload.codec import decode_untyped
from offload.core.records import LogLine
from offload.store.base import RecordFilter, Store

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""When a test stops hoping; nothing is ever expected to take that long."""

GATES = range(1, 5)


class Stage:
    """The folder where the processes of a test meet, and the pipes between them and it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._heard = b""
        for name in ("said", *(f"gate-{lease}" for lease in GATES)):
            os.mkfifo(folder / name)
        # Read-write, so that no side ever waits for the other to open its end.
        self._said = os.open(folder / "said", os.O_RDWR | os.O_NONBLOCK)
        self._gates = {n: os.open(folder / f"gate-{n}", os.O_RDWR) for n in GATES}

    def close(self) -> None:
        for pipe in (self._said, *self._gates.values()):
            os.close(pipe)

    def open_gate(self, lease: int = 1, *, runs: int = 1) -> None:
        """Let so many runs under this lease go on."""
        os.write(self._gates[lease], b"." * runs)

    async def heard(self) -> list[str]:
        """Return the words of the next line that a task says."""
        async with asyncio.timeout(PATIENCE):
            while b"\n" not in self._heard:
                await readable(self._said)
                self._heard += os.read(self._said, 65536)
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode().split()

    async def started(self, *, word: str = "started") -> int:
        """Wait until a task says that it runs, and return the process that it names."""
        [said, pid] = await self.heard()
        assert said == word
        return int(pid)

    @property
    def effects(self) -> list[list[str]]:
        """What the tasks did: the words, the job, the lease and the process of each deed."""
        path = self.folder / "effects"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def log(self) -> str:
        """All that the workers logged."""
        return (self.folder / "log").read_text()

    def inhabitants(self, program: str = "") -> set[int]:
        """Return the live processes that were started for this stage, heirs included.

        Those are left out from which others are forked: they run nothing.
        """
        found = set()
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if (
                    entry.name.isdecimal()
                    and os.fsencode(self.folder) in (entry / "environ").read_bytes()
                    and program in (entry / "cmdline").read_text()
                    and not is_template(int(entry.name))
                    and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
                ):
                    found.add(int(entry.name))
        return found - {os.getpid()}


def is_template(pid: int) -> bool:
    """Tell the process that forks from those that it has forked, whose command line is the same."""
    return _is_of_template(pid) and not _is_of_template(parent(pid))


def _is_of_template(pid: int) -> bool:
    return "offload.worker.template" in Path(f"/proc/{pid}/cmdline").read_text()


def parent(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def readable(fd: int) -> None:
    """Wait until there is something to read."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def gone(pids: Iterable[int], patience: float = PATIENCE) -> None:
    """Wait until these processes have ended."""
    async with asyncio.timeout(patience):
        for pid in pids:
            with suppress(ProcessLookupError):
                fd = os.pidfd_open(pid)
                try:
                    # A child of ours that nobody reaps is over, too.
                    if not select.select([fd], [], [], 0)[0]:
                        await readable(fd)
                finally:
                    os.close(fd)


async def reached(queue: Queue, job_id: str, *statuses: str) -> JobHandle[Any]:
    """Wait until the job has one of these statuses."""
    async with asyncio.timeout(PATIENCE):
        async for job in queue.awatch(job_id, interval=0):
            if job.status in statuses:
                return job
    raise AssertionError(f"the job ended without being {statuses}")


async def read(queue: Queue, question: Callable[[Store], Awaitable[T]]) -> T:
    """Ask the store itself, on the loop where it lives."""
    return await queue._client.call(question)  # noqa: SLF001 - programs cannot ask for all of it


async def parts_of(queue: Queue, job_id: str) -> list[Any]:
    """Return what a job has published."""
    parts = await read(queue, lambda store: store.parts(job_id, 0, 100_000))
    return [decode_untyped(part.value) for part in parts]


async def logs_of(queue: Queue, job_id: str) -> list[LogLine]:
    """Return what a job has logged."""
    wanted = RecordFilter(job_id=job_id, limit=100_000)
    return [log.line for log in await read(queue, lambda store: store.logs(wanted))]


@dataclass
class Work:
    """A worker that runs on the test's own loop."""

    stop: asyncio.Event
    task: asyncio.Task[None]

    async def end(self) -> None:
        """Ask it to stop, and wait for it."""
        self.stop.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(self.task)


@asynccontextmanager
async def working(queue: Queue, *, grace: float = 10.0, **options: Any) -> AsyncIterator[Work]:
    """Run a worker on this loop."""
    stop = asyncio.Event()
    running = queue.arun_worker(stop, grace=grace, install_signals=False, **options)
    work = Work(stop, asyncio.create_task(running))
    try:
        yield work
    finally:
        await work.end()


@asynccontextmanager
async def command(
    stage: Stage, *options: str, lease: float = 3600, **environment: str
) -> AsyncIterator[Process]:
    """Run the real command on the application; nothing of it lives longer than the block."""
    words = ["-m", "offload", "worker", "--app", "tests.worker.app:queue", *options]
    async with started(stage, *words, lease=lease, **environment) as process:
        yield process


@asynccontextmanager
async def started(
    stage: Stage, *words: str, lease: float = 3600, **environment: str
) -> AsyncIterator[Process]:
    """Run Python with these words; nothing of it lives longer than the block."""
    env = {
        **os.environ,
        "OFFLOAD_TEST_FOLDER": str(stage.folder),
        "OFFLOAD_TEST_LEASE": str(lease),
        **environment,
    }
    with (stage.folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words,
            cwd=ROOT, env=env, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        for pid in stage.inhabitants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def ends(process: Process) -> int:
    """Wait for the end of a process, and return its exit code."""
    async with asyncio.timeout(PATIENCE):
        return await process.wait()
