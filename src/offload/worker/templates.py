"""Processes that have imported a module and fork others, as whoever needs those sees them."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections import deque

from offload.tasks.limits import Limits
from offload.worker.calls import MESSAGE
from offload.worker.confine import environment
from offload.worker.processes import BUFFER, Child, ChildDied

PROGRAM = "offload.worker.template"


class Forked:
    """A process that a template has forked; what of `asyncio.subprocess.Process` is used."""

    def __init__(self, pid: int, end: "asyncio.Future[int]") -> None:
        """Hear of its end from `end`."""
        self.pid = pid
        self._end = end

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it lives."""
        return self._end.result() if self._end.done() else None

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """Return how it ended, when it has."""
        return await asyncio.shield(self._end)


class Template:
    """One process, and the socket to it."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        """Use `start`."""
        self._is_deaf = False
        self._process = process
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._asked: deque[asyncio.Future[Forked]] = deque()
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._loop.add_reader(control, self._hear)

    @classmethod
    async def start(cls, limits: Limits, module: str) -> "Template | None":
        """Start one that has imported `module`; None where nothing could be forked from it."""
        if sys.platform != "linux":
            return None  # elsewhere, libraries of the system do not survive a fork
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        process = None
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", PROGRAM, str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                    start_new_session=True, env=environment(limits),
                )  # fmt: skip
            ours.settimeout(0)
            setup = {"path": sys.path, "module": module, "network": limits.network}
            ours.send(json.dumps(setup).encode())
            is_fit = await asyncio.get_running_loop().sock_recv(ours, MESSAGE)
        except BaseException as error:
            ours.close()
            if process is not None:
                process.kill()
            if isinstance(error, ConnectionError):
                return None
            raise
        if is_fit:
            return cls(process, ours)
        ours.close()
        await process.wait()
        return None

    async def fork(self, limits: Limits, function: str) -> Child:
        """Have a process forked, which will run this function of the module first.

        Raises:
            ChildDied: the template is gone.
        """
        forked: asyncio.Future[Forked] = self._loop.create_future()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                order = json.dumps({"qualname": function}).encode()
                socket.send_fds(self._control, [order], [theirs.fileno()])
            self._asked.append(forked)
            process = await forked
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=BUFFER)
        except BaseException as error:
            ours.close()  # the process ends when it finds that out
            if isinstance(error, OSError):
                raise ChildDied(-signal.SIGKILL) from None
            raise
        return Child(process, reader, writer, limits)

    @property
    def is_used(self) -> bool:
        """Whether there are processes that it has forked, or soon will be."""
        return bool(self._asked or self._ends)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, and its socket is closed."""
        return self._is_deaf and self._process.returncode is not None

    def hang_up(self) -> None:
        """Let it end when the last process has that it has forked."""
        with contextlib.suppress(OSError):  # it has ended already
            self._control.shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        """Hang up, and wait for its end."""
        self.hang_up()
        await self._process.wait()
        self._end()

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while said := self._said():
                self._take(json.loads(said))
            self._end()

    def _said(self) -> bytes:
        try:
            return self._control.recv(MESSAGE)
        except ConnectionError:
            return b""

    def _take(self, message: dict[str, int]) -> None:
        match message:
            case {"pid": pid}:
                end = self._ends[pid] = self._loop.create_future()
                asked = self._asked.popleft()
                if not asked.done():  # else nobody waits for it any more, and its socket is closed
                    asked.set_result(Forked(pid, end))
            case {"ended": pid, "code": code}:
                self._ends.pop(pid).set_result(code)

    def _end(self) -> None:
        """Take note that it has ended, and the kernel what it had forked."""
        if self._is_deaf:
            return
        self._is_deaf = True
        self._loop.remove_reader(self._control)
        self._control.close()
        for asked in self._asked:
            if not asked.done():
                asked.set_exception(ChildDied(-signal.SIGKILL))
        for end in self._ends.values():
            end.set_result(-signal.SIGKILL)
        self._asked.clear()
        self._ends.clear()
