"""Functions in processes that can be killed; the processes stay warm between jobs."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, Protocol

from offload.core.decide import Lapsed, Outcome, Raised, Returned
from offload.core.records import Report
from offload.tasks.limits import Limits
from offload.worker.calls import SOFT_TIMEOUT, order_of
from offload.worker.confine import environment, why_killed
from offload.worker.report import from_wire
from offload.worker.run import Run, Stop, failure_of
from offload.worker.wire import heard, row_of

BUFFER = 128 * 1024
"""Bytes that are read ahead of what we take; beyond, the process has to wait."""


Relay = Callable[[Report], Coroutine[Any, Any, None]]


class ChildDied(Exception):
    """The process ended before it answered; `begun` says whether it had started the job."""

    begun = False

    def __init__(self, code: int) -> None:
        """Say how it ended, by its return code."""
        super().__init__(f"signal {-code}" if code < 0 else f"exit code {code}")
        self.signal = -code


class Process(Protocol):
    """What is needed of a process, whoever has started it."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it lives."""
        ...

    def send_signal(self, number: int, /) -> None:
        """Send it a signal."""
        ...

    async def wait(self) -> int:
        """Return how it ended, when it has."""
        ...


class Child:
    """One process, and the socket to it."""

    def __init__(
        self,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: Limits | None,
    ) -> None:
        """Use `spawn`, or have a template fork one."""
        self.pid = process.pid
        self.limits = limits
        self.has_run: set[str] = set()
        """Functions for which it holds modules and memory."""
        self.used_at = time.monotonic()
        self._process = process
        self._reader = reader
        self._writer = writer
        network = limits is None or limits.network
        self._send({"path": sys.path, "main": _main_file(), "network": network})

    @classmethod
    async def spawn(cls, limits: Limits | None) -> "Child":
        """Start a process that can import what this one can, for tasks with these limits."""
        ours, theirs = socket.socketpair()
        process = None
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "offload.worker.child", str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                    start_new_session=True, env=environment(limits),
                )  # fmt: skip
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=BUFFER)
        except BaseException:  # cancelled: whoever wanted the process will never close it
            ours.close()
            if process is not None:
                process.kill()
            raise
        return cls(process, reader, writer, limits)

    async def execute(
        self, order: Mapping[str, Any], relay: Relay, begin: Callable[[], None]
    ) -> tuple[Outcome, int]:
        """Have the process do something; return how that ended, and the most bytes it held.

        `begin` hears that the function starts, `relay` what it says.

        Raises:
            ChildDied: the process ended first.
        """
        self._send(order)
        self.has_run.add(order["qualname"])
        begun = False
        try:
            while True:
                match await self._receive():
                    case {"begun": _}:
                        begun = True
                        begin()
                    case {"report": _} as news:
                        await relay(from_wire(news))
                    case answer:
                        return _outcome(answer), answer["memory"]
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
        try:
            await self._process.wait()
        finally:
            self._writer.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _receive(self) -> dict[str, Any]:
        pieces: list[bytes] = []
        while True:
            try:
                pieces.append(await self._reader.readuntil(b"\n"))
            except asyncio.LimitOverrunError as overrun:
                pieces.append(await self._reader.readexactly(overrun.consumed))
            except (asyncio.IncompleteReadError, ConnectionError):
                raise ChildDied(await self._process.wait()) from None
            else:
                message: dict[str, Any] = json.loads(b"".join(pieces))
                return message


class Warm:
    """Processes that wait for more work; with those at work, never more than ran at once."""

    def __init__(self) -> None:
        """Start with none."""
        self._children: list[Child] = []

    def __iter__(self) -> Iterator[Child]:
        """Go through those that wait."""
        return iter(self._children)

    def take(self, limits: Limits | None, function: str) -> Child | None:
        """Return one that was started with these limits, the last that was used.

        One that has run this function goes first: else all would in time hold what it needs.
        """
        fitting = [child for child in self._children if child.limits == limits]
        if not fitting:
            return None
        chosen = max(reversed(fitting), key=lambda child: function in child.has_run)
        self._children.remove(chosen)
        return chosen

    async def spawn(self, limits: Limits | None) -> Child:
        """Start one, in the place of one with other limits if such waits."""
        await self.make_room()
        return await Child.spawn(limits)

    async def make_room(self) -> None:
        """End one, if there is one, for another to be started."""
        if self._children:
            await self._children.pop(0).close()

    def keep(self, child: Child) -> None:
        """Let a process wait here."""
        child.used_at = time.monotonic()
        self._children.append(child)

    async def end_idle(self, seconds: float) -> None:
        """End those that have waited so long."""
        before = time.monotonic() - seconds
        await self._end([child for child in self._children if child.used_at <= before])

    async def close(self) -> None:
        """End them."""
        await self._end(self._children)

    async def _end(self, children: list[Child]) -> None:
        self._children = [child for child in self._children if child not in children]
        await asyncio.gather(*(child.close() for child in children))


class ProcessExecutor:
    """Keeps as many processes as ran at once; lives on the control loop."""

    def __init__(self, relay: Relay, kin_changed: Callable[[], None]) -> None:
        """Start processes when they are first needed; `relay` what functions say.

        `kin_changed` hears when there are other processes than before.
        """
        self._relay = relay
        self._kin_changed = kin_changed
        self._warm = Warm()
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
        return [child.pid for child in (*self._children.values(), *self._warm)]

    async def close(self) -> None:
        """Kill all processes."""
        for child in self._children.values():
            child.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._warm.close()

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
        function, limits = run.task.function, run.task.limits
        while (child := self._warm.take(limits, function.__qualname__)) is not None:
            try:
                return await self._execute(run, child)
            except ChildDied as death:
                # A process that died while it waited says nothing about this job.
                if death.begun or run.stop is not None:
                    return _after_death(run, death)
        try:
            return await self._execute(run, await self._warm.spawn(limits))
        except ChildDied as death:
            return _after_death(run, death)

    async def _execute(self, run: Run, child: Child) -> Outcome:
        self._children[run] = child
        self._kin_changed()
        try:
            if run.stop is not None:  # asked to stop while its process was starting
                child.kill()
            outcome, run.memory = await child.execute(
                order_of(run.task.function, run.job.payload) | {"job": row_of(run.job)},
                self._relay,
                run.start_clock,
            )
        except BaseException:
            await child.close()
            raise
        finally:
            del self._children[run]
        self._warm.keep(child)
        return outcome


def _after_death(run: Run, death: ChildDied) -> Outcome:
    if run.stop is not None:
        return run.stopped()
    limits = run.task.limits
    if reason := why_killed(death.signal, limits):
        return run.broken(reason)
    under = "" if limits is None else f", under the limits {limits}"
    return Lapsed(f"the process of the task died ({death}{under})")


def _outcome(message: Mapping[str, Any]) -> Outcome:
    if "result" in message:
        return Returned(message["result"].encode())
    return heard(message)


def _main_file() -> str | None:
    return getattr(sys.modules["__main__"], "__file__", None)
