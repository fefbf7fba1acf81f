"""Functions in processes that can be killed; the processes stay warm between jobs."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from offload.core.decide import Lapsed, Outcome, Raised, Returned
from offload.worker.run import Run, Stop, failure_of
from offload.worker.wire import heard, row_of

SOFT_TIMEOUT = signal.SIGUSR1
LINE_LIMIT = 16 * 1024 * 1024


class ChildDied(Exception):
    """The process ended before it answered; `begun` says whether it had started the job."""

    begun = False


class Child:
    """One process, and the socket to it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Use `spawn`."""
        self.pid = process.pid
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def spawn(cls) -> "Child":
        """Start a process that can import what this one can."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "offload.worker.child", str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                start_new_session=True,
            )  # fmt: skip
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_LIMIT)
        child = cls(process, reader, writer)
        child._send({"path": sys.path, "main": _main_file()})
        return child

    async def execute(self, run: Run) -> Outcome:
        """Run one job in the process.

        Raises:
            ChildDied: the process ended first.
        """
        function = run.task.function
        self._send(
            {
                "module": function.__module__,
                "qualname": function.__qualname__,
                "job": row_of(run.job),
                "payload": run.job.payload.decode(),
            }
        )
        begun = False
        try:
            while True:
                match await self._receive():
                    case {"begun": _}:
                        begun = True
                        run.start_clock()
                    case {"progress": percent}:
                        run.context.update_progress(percent)
                    case outcome:
                        return _outcome(outcome)
        except ChildDied as death:
            death.begun = begun
            raise

    def interrupt(self) -> None:
        """Raise `JobTimeout` in the function, as soon as it is back in Python."""
        if self._process.returncode is None:
            self._process.send_signal(SOFT_TIMEOUT)

    def kill(self) -> None:
        """End the process and all that it started, even if it has ended itself."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill the process and wait for its end."""
        self.kill()
        await self._process.wait()
        self._writer.close()

    def _send(self, message: dict[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _receive(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
        except ConnectionError:
            line = b""
        if line.endswith(b"\n"):
            message: dict[str, Any] = json.loads(line)
            return message
        code = await self._process.wait()
        raise ChildDied(f"signal {-code}" if code < 0 else f"exit code {code}")


class ProcessExecutor:
    """Keeps as many processes as ran at once; lives on the control loop."""

    def __init__(self, kin_changed: Callable[[], None]) -> None:
        """Start processes when they are first needed, and tell when there are others."""
        self._kin_changed = kin_changed
        self._idle: list[Child] = []
        self._children: dict[Run, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, run: Run) -> None:
        """Give the run to a process."""
        task = asyncio.create_task(self._run_line(run), name=f"job-{run.job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, run: Run) -> None:
        """Interrupt a run whose time is up, kill any other."""
        child = self._children.get(run)
        if child is None:
            return  # its process is still starting: `_execute` looks again
        if run.stop is Stop.TIMEOUT:
            child.interrupt()
        else:
            child.kill()

    def abandon(self, run: Run) -> None:
        """Kill the process."""
        child = self._children.get(run)
        if child is not None:
            child.kill()

    def kin(self) -> Iterable[int]:
        """Return the processes, at work or not."""
        return [child.pid for child in (*self._children.values(), *self._idle)]

    async def close(self) -> None:
        """Kill all processes."""
        for child in self._children.values():
            child.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(child.close() for child in self._idle))
        self._idle.clear()

    async def _run_line(self, first: Run) -> None:
        run: Run | None = first
        while run is not None:
            if run.begin():
                await self._run(run)
            run = run.follow()

    async def _run(self, run: Run) -> None:
        try:
            run.end(await self._outcome_of(run))
        except Exception as error:  # noqa: BLE001 - such as no process could be started
            run.end(Raised(failure_of(error)))

    async def _outcome_of(self, run: Run) -> Outcome:
        while self._idle:
            try:
                return await self._execute(run, self._idle.pop())
            except ChildDied as death:
                # A process that died while it waited says nothing about this job.
                if death.begun or run.stop is not None:
                    return _after_death(run, death)
        try:
            return await self._execute(run, await Child.spawn())
        except ChildDied as death:
            return _after_death(run, death)

    async def _execute(self, run: Run, child: Child) -> Outcome:
        self._children[run] = child
        self._kin_changed()
        try:
            if run.stop is not None:  # asked to stop while its process was starting
                child.kill()
            outcome = await child.execute(run)
        except BaseException:
            await child.close()
            raise
        finally:
            del self._children[run]
        self._idle.append(child)
        return outcome


def _after_death(run: Run, death: ChildDied) -> Outcome:
    if run.stop is not None:
        return run.stopped()
    return Lapsed(f"the process of the task died ({death})")


def _outcome(message: dict[str, Any]) -> Outcome:
    if "result" in message:
        return Returned(message["result"].encode())
    return heard(message)


def _main_file() -> str | None:
    return getattr(sys.modules["__main__"], "__file__", None)
