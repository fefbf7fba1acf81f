"""A process of the crew as the supervisor sees it: lines of runs go in, outcomes come back."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from offload.core.decide import Lapsed, Released, Returned
from offload.core.records import Report
from offload.worker import wire
from offload.worker.link import Link
from offload.worker.processes import Relay
from offload.worker.report import from_wire
from offload.worker.run import Run, Stop
from offload.worker.wire import LINE_BITS, Kind

log = logging.getLogger("offload.worker")

PROGRAM = "offload.worker.member"
MANY = 16
"""Runs in a member that make it worth while to hear of several ends at once."""
REST = 0.004
"""Seconds between two looks at what such a member says."""
CONFIRM = 3.0
"""Seconds that a member has to say that it has given up on a run, before it is killed."""
FAREWELL = 0.3
"""Seconds that a member with nothing to do has to end by itself."""


_RETURNED = int(Kind.RETURNED)  # an enumeration's member compares by a call


class MemberDied(Exception):
    """The process ended before it was ready."""


class AppBroken(Exception):
    """The process could not import the application; trying again would not help."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a member is started with."""

    app: str
    """`module:queue`, as the command was given it."""
    slots: int
    """Functions that it may run at a time."""
    verbose: bool = False
    max_jobs: int | None = None
    """Jobs after which the member is worn."""


class Member:
    """One process, alive from its start until `gone`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        sock: socket.socket,
        setup: Setup,
        relay: Relay,
        at_end: Callable[["Member"], None],
    ) -> None:
        """Use `start`."""
        self.pid = process.pid
        self.free = setup.slots
        """How many more lines it may run at once."""
        self.ended = 0
        """Runs that it has ended."""
        self.gone = asyncio.Event()
        self.idle = asyncio.Event()
        """Set while it has nothing to do."""
        self.idle.set()
        self.worn = asyncio.Event()
        """Set when it should be replaced, or is gone."""
        self._setup = setup
        self._relay = relay
        self._relays: set[asyncio.Task[None]] = set()
        self._at_end = at_end
        self._abandoned = 0
        self._process = process
        self._link = Link(sock, self._take, self._heard, self.kill)
        self._loop = asyncio.get_running_loop()
        self._is_ready: asyncio.Future[None] = self._loop.create_future()
        self._lines = 0
        self._left: dict[int, int] = {}
        self._begun: set[int] = set()
        self._runs: dict[int, Run] = {}
        self._last: dict[int, Run] = {}
        self._link.send(Kind.SETUP, 0, _setup_body(setup))
        self._watching = asyncio.create_task(self._watch(), name=f"offload-member-{self.pid}")

    @classmethod
    async def start(
        cls, setup: Setup, relay: Relay, at_end: Callable[["Member"], None]
    ) -> "Member":
        """Start a process and wait until it has imported the application.

        What its functions say goes to `relay`. `at_end` is called when it is gone, before the
        runs end that were left in it.

        Raises:
            AppBroken: it could not.
            MemberDied: it ended before.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", PROGRAM, str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                start_new_session=True,
            )  # fmt: skip
        member = cls(process, ours, setup, relay, at_end)
        try:
            await member._is_ready
        except BaseException:
            await member.close()
            raise
        return member

    def __contains__(self, run: Run) -> bool:
        """Whether the run was sent here and has not ended here."""
        return self._runs.get(run.number) is run

    def send(self, runs: Sequence[Run], last: Run) -> None:
        """Have the runs run one after the other, in one slot; `last` knows what follows them."""
        self._lines += 1
        line = self._lines
        first = line << LINE_BITS
        for number, run in enumerate(runs, first):
            run.number = number
            self._runs[number] = run
        self._left[line] = len(runs)
        self._last[line] = last
        self.free -= 1
        self.idle.clear()
        self._link.send(Kind.LINE, first, wire.pack([run.job for run in runs]))

    def stop(self, run: Run, stop: Stop) -> None:
        """Pass on that the run should stop."""
        self._link.send(Kind.STOP, run.number, stop.name.encode())

    def abandon(self, run: Run) -> None:
        """Give the run up, which has ended for us; kill the member if it cannot do so, too."""
        self._abandoned += 1
        if self._abandoned > self._setup.slots:
            self.worn.set()
        self._link.send(Kind.ABANDON, run.number)
        self._loop.call_later(CONFIRM, self._insist, run)

    def kill(self) -> None:
        """End the process and all that it started, even if it has ended itself."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Let the process end if it has nothing to do, else kill it; return when it is gone."""
        if self.idle.is_set() and not self._abandoned and self._is_ready.done():
            with contextlib.suppress(OSError, TimeoutError):
                self._link.hang_up()
                async with asyncio.timeout(FAREWELL):
                    await self.gone.wait()
        if not self.gone.is_set():
            self.kill()
        await asyncio.shield(self._watching)

    # --- to the process ------------------------------------------------------------------

    def _insist(self, run: Run) -> None:
        if run in self:
            log.warning("member %d does not let go of a job that is over: killed", self.pid)
            self.kill()

    # --- from the process ----------------------------------------------------------------

    def _heard(self) -> None:
        if self._relays:
            self._link.pause()
        elif len(self._runs) > MANY:
            self._link.rest(REST)

    def _take(self, kind: int, number: int, body: bytes) -> None:
        if kind == _RETURNED:  # nearly all
            run = self._over(number)
            run.ran, result = wire.heard_returned(body)
            run.end(Returned(result))
            return
        match kind:
            case Kind.BEGUN:
                # A run that was given up may still say so, after its end.
                if number in self._runs:
                    self._begun.add(number >> LINE_BITS)
                    self._runs[number].start_clock()
            case Kind.REPORT:
                if number in self._runs:
                    self._pass_on(from_wire(json.loads(body)))
            case Kind.ENDED:
                run, answer = self._over(number), json.loads(body)
                run.ran = answer["ran"]
                run.end(wire.heard(answer))
            case Kind.READY if not self._is_ready.done():
                self._is_ready.set_result(None)
            case Kind.FAILED if not self._is_ready.done():
                self._is_ready.set_exception(AppBroken(body.decode()))

    def _pass_on(self, report: Report) -> None:
        """Hand news on, and read nothing more until there is room for more."""
        relay = asyncio.create_task(self._relay(report))
        self._relays.add(relay)
        relay.add_done_callback(self._passed_on)

    def _passed_on(self, relay: "asyncio.Task[None]") -> None:
        self._relays.discard(relay)
        if not self._relays:
            self._link.go_on()

    def _over(self, number: int) -> Run:
        run = self._runs.pop(number)
        line = number >> LINE_BITS
        self.ended += 1
        left = self._left[line] = self._left[line] - 1
        if not left:
            self._end_line(line)
        return run

    def _end_line(self, line: int) -> None:
        del self._left[line]
        self._begun.discard(line)
        self.free += 1
        if not self._runs:
            self.idle.set()
        if self._setup.max_jobs is not None and self.ended >= self._setup.max_jobs:
            self.worn.set()
        self._last.pop(line).follow()

    # --- the end -------------------------------------------------------------------------

    async def _watch(self) -> None:
        code = await self._process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self.kill()  # what it has started goes with it
        self._link.close()
        if not self._is_ready.done():
            self._is_ready.set_exception(MemberDied(how))
        self._at_end(self)
        self._bury(how)
        for event in (self.gone, self.idle, self.worn):
            event.set()

    def _bury(self, how: str) -> None:
        """End what is left: the first run of each line had begun, if the line had."""
        seen: set[int] = set()
        left, self._runs = self._runs, {}
        for number, run in left.items():
            line = number >> LINE_BITS
            had_begun = line in self._begun or not wire.opens_line(number)
            if had_begun and line not in seen:
                log.warning("member %d died (%s) in job %s", self.pid, how, run.job.id)
                run.end(Lapsed(f"its process died ({how})"))
            else:
                run.end(Released())
            seen.add(line)
        for line in seen:
            self._last.pop(line).follow()


def _setup_body(setup: Setup) -> bytes:
    body: dict[str, Any] = {
        "path": sys.path,
        "app": setup.app,
        "slots": setup.slots,
        "verbose": setup.verbose,
    }
    return json.dumps(body).encode()
