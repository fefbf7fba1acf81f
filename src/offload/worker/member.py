"""A process that runs functions for the supervisor, until its socket closes.

    python -m offload.worker.member FD

It imports the application once, runs lines of jobs on an event loop and in threads, and says how
each run ended *before* the next of its line begins: should it die, that tells what had begun.
"""

import asyncio
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from typing import Any

from offload.core.decide import Outcome, Released, Returned
from offload.core.job import Job
from offload.core.records import Report
from offload.tasks.registry import Registry
from offload.worker import garbage, logs, wire
from offload.worker.child import die_with_parent
from offload.worker.executors import AsyncExecutor, Executor, ThreadExecutor
from offload.worker.pace import PATIENCE
from offload.worker.report import to_wire
from offload.worker.run import STRANGE_AGAIN, Run, Stop
from offload.worker.runs import Line
from offload.worker.userloop import UserLoop
from offload.worker.wire import LINE_BITS, Kind


class Post:
    """News to the supervisor, from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        """Write to `sock`."""
        self._sock = sock
        self._lock = threading.Lock()

    def send(self, kind: Kind, number: int = 0, body: bytes = b"") -> None:
        """Write a frame; while the supervisor does not read, its functions have to wait."""
        self.send_frame(wire.frame(kind, number, body))

    def send_frame(self, frame: bytes) -> None:
        """Write a frame that is made already."""
        with self._lock:
            self._sock.sendall(frame)


class Hands:
    """Runs what it is told to; its methods are called on the main thread."""

    def __init__(
        self, post: Post, registry: Registry, loop: asyncio.AbstractEventLoop, threads: int
    ) -> None:
        """Run the tasks of `registry`, coroutines on `loop`, the others in `threads` threads."""
        self._post = post
        self._registry = registry
        self._loop = loop
        self._executors: dict[str, Executor] = {
            "async": AsyncExecutor(loop),
            "thread": ThreadExecutor(threads),
        }
        self._runs: dict[int, Run] = {}
        self._lines: deque[tuple[float, Line]] = deque()
        self._lock = threading.Lock()
        self._free = threads
        self._left: dict[int, Line] = {}
        self._waiting: dict[int, Run] = {}
        """Lines that no slot was free for, by their numbers, and the first run of each."""

    def obey(self, kind: int, number: int, body: bytes) -> None:
        """Do what a frame says."""
        if kind == Kind.LINE:
            self._begin(number, wire.unpack(body))
            return
        run = self._runs.get(number)
        if run is None:
            return  # it ended while the frame was on its way
        if kind == Kind.STOP:
            self._stop(run, Stop[body.decode()])
        elif kind == Kind.ABANDON:
            self._abandon(run)

    def patience(self) -> float | None:
        """Cut the lines that have waited too long; return the seconds until the next one has."""
        now = time.monotonic()
        while self._lines and self._lines[0][0] <= now:
            self._lines.popleft()[1].cut()
        return self._lines[0][0] - now if self._lines else None

    def _begin(self, first: int, jobs: list[Job]) -> None:
        runs = []
        for number, job in enumerate(jobs, first):
            task = self._registry.find(job.task)
            if task is None:
                # The application has changed on disk since the supervisor imported it.
                self._post.send_frame(_end(number, Released(STRANGE_AGAIN)))
                continue
            run = Run(job, task, self)
            run.number = number
            self._runs[number] = run
            runs.append(run)
        if runs:
            now = time.monotonic()
            line = self._left[first >> LINE_BITS] = Line(runs, now)
            with self._lock:
                self._waiting[first >> LINE_BITS] = runs[0]
            self._fill_slot()
            # A single run that has its slot is at its start, however long that takes.
            if len(runs) > 1 or first >> LINE_BITS in self._waiting:
                self._lines.append((now + PATIENCE, line))

    def _fill_slot(self) -> None:
        """Start the line that has waited longest, if there is one, and a slot for it."""
        with self._lock:
            if not self._free or not self._waiting:
                return
            self._free -= 1
            run = self._waiting.pop(next(iter(self._waiting)))
        self.start(run)

    def _note_end(self, number: int) -> None:
        line = self._left[number]
        with self._lock:
            line.left -= 1
            if line.left:
                return
            del self._left[number]
            if self._waiting.pop(number, None) is None:  # else it ended before it had a slot
                self._free += 1
        self._fill_slot()

    def _stop(self, run: Run, stop: Stop) -> None:
        run.ask(stop)
        if not run.end_unbegun(run.stopped()):
            self._executors[run.task.executor].stop(run)

    def _abandon(self, run: Run) -> None:
        """Let go of a run; the supervisor hears it only if the loop, too, goes on without it."""
        self._executors[run.task.executor].abandon(run)
        if run.task.executor == "async":
            self._loop.call_soon_threadsafe(run.end, Released())
        else:
            run.end(Released())

    # --- from any thread -----------------------------------------------------------------

    def start(self, run: Run) -> None:
        """See `Owner`."""
        self._executors[run.task.executor].start(run)

    def said(self, run: Run, report: Report) -> None:
        """Pass on what a function says; while the supervisor has no room, it has to wait."""
        if not run.is_over:
            self._post.send(Kind.REPORT, run.number, json.dumps(to_wire(report)).encode())

    def begun(self, run: Run) -> None:
        """See `Owner`."""
        # Where a line is, the supervisor sees from the ends; but not whether it has begun, nor
        # when the time of a run begins that may not take for ever.
        if run.job.timeout is not None or wire.opens_line(run.number):
            self._post.send(Kind.BEGUN, run.number)

    def ended(self, run: Run, outcome: Outcome) -> None:
        """See `Owner`."""
        del self._runs[run.number]
        self._post.send_frame(_end(run.number, outcome, run.ran))
        self._note_end(run.number >> LINE_BITS)


def _end(number: int, outcome: Outcome, ran: float | None = None) -> bytes:
    if isinstance(outcome, Returned):
        return wire.returned(number, outcome.result, ran)
    body = json.dumps({**wire.told(outcome), "ran": ran}).encode()
    return wire.frame(Kind.ENDED, number, body)


def main() -> None:
    """Work until the socket closes."""
    die_with_parent(os.getppid())
    for number in (signal.SIGINT, signal.SIGTERM):
        # Whoever signals a whole group means the supervisor, which then says what to do. Not
        # SIG_IGN, which the programs that functions start would inherit.
        signal.signal(number, lambda *_: None)
    sock = socket.socket(fileno=int(sys.argv[1]))
    os.dup(sock.fileno())  # what is open to the very end tells the supervisor when that is
    post, frames = Post(sock), wire.Frames()
    setup = json.loads(_first(sock, frames))
    sys.path[:] = setup["path"]
    garbage.look_seldom()
    logs.configure(verbose=setup["verbose"])
    try:
        registry = _registry(setup["app"])
    except BaseException as error:
        post.send(Kind.FAILED, 0, f"{type(error).__name__}: {error}".encode())
        raise
    post.send(Kind.READY)
    with UserLoop() as loop:
        _serve(sock, frames, Hands(post, registry, loop, setup["slots"]))


def _first(sock: socket.socket, frames: wire.Frames) -> bytes:
    while data := sock.recv(wire.CHUNK):
        for _, _, body in frames.split(data):
            return body  # nothing else comes before the answer to it
    sys.exit()


def _serve(sock: socket.socket, frames: wire.Frames, hands: Hands) -> None:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    while True:
        wait = hands.patience()
        if poll.poll(None if wait is None else wait * 1000):
            data = sock.recv(wire.CHUNK)
            if not data:
                return
            for order in frames.split(data):
                hands.obey(*order)


def _registry(app: str) -> Registry:
    module, _, attribute = app.partition(":")
    found: Any = importlib.import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    registry: Registry = found.tasks
    return registry


if __name__ == "__main__":
    main()
