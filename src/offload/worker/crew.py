"""The processes in which the command runs functions, so that none can harm the supervisor.

The supervisor, this process, claims and finishes jobs and beats for them; its members import the
application and run what they are sent. A member that dies is replaced; what it was running has
crashed, and what only waited in it has not.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any

from offload.core.decide import Released
from offload.worker import proc
from offload.worker.members import AppBroken, Member, MemberDied, Setup
from offload.worker.processes import Relay
from offload.worker.run import Run, begin_all
from offload.worker.service import Service

log = logging.getLogger("offload.worker")

CHECK_EVERY = 1.0
STOPPED_FOR = 3.0
"""Seconds after which a member that somebody has stopped is killed; at most half a lease."""
SETTLED = 5.0
"""Seconds that a member must live for its end not to count as one of a series."""
LONGEST_REST = 30.0


@dataclass(frozen=True, slots=True)
class CrewOptions:
    """How the command has functions run."""

    setup: Setup
    processes: int = 1
    max_memory: int | None = None
    """Bytes of resident memory above which a member is replaced."""


class Crew(Service):
    """Keeps its members at work and hands them lines: the executor of coroutines and threads."""

    def __init__(
        self,
        options: CrewOptions,
        lease: float,
        resize: Callable[[int], None],
        relay: Relay,
        kin_changed: Callable[[], None],
        *,
        give_up: Callable[[str], None],
    ) -> None:
        """Call `resize` with the slots that come and go, `give_up` if the application is broken.

        What functions say goes to `relay`; `kin_changed` hears when there are other processes.
        """
        super().__init__()
        self._options = options
        self._stopped_for = min(STOPPED_FOR, lease / 2)
        self._resize = resize
        self._relay = relay
        self._give_up = give_up
        self._kin_changed = kin_changed
        self._members: set[Member] = set()
        """All that are ready: also those that leave, and those of suspects."""
        self._working: set[Member] = set()
        """Those that take new lines."""
        self._stopped: dict[Member, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Keep the places filled and look after the members, until stopped."""
        for _ in range(self._options.processes):
            self._spawn(self._keep_place())
        await super().run()

    async def step(self) -> None:
        """Look at each member, then rest."""
        for member in list(self._members):
            self._check(member)
        await self.unless_stopping(asyncio.sleep(min(CHECK_EVERY, self._stopped_for)))

    # --- as an executor ------------------------------------------------------------------

    def start(self, run: Run) -> None:
        """Hand a line to the member with the most free slots; a suspect gets one for itself."""
        if run.job.crashes:
            self._spawn(self._run_alone(run))
            return
        runs, last = _stretch(run)
        begun = begin_all(runs)
        if not begun:
            last.follow()
        elif self._working:
            max(self._working, key=lambda member: member.free).send(begun, last)
        else:  # the last one has just died: what is left of the line can run elsewhere
            for each in (*begun, *last.followers()):
                each.end(Released())

    def stop(self, run: Run) -> None:
        """Tell its member, which cancels a coroutine and lets a thread know."""
        for member in self._members:
            if run in member and run.stop is not None:
                member.stop(run, run.stop)

    def abandon(self, run: Run) -> None:
        """Tell its member to let go of it."""
        for member in self._members:
            if run in member:
                member.abandon(run)

    def kin(self) -> Iterable[int]:
        """Return the members."""
        return [member.pid for member in self._members]

    async def close(self) -> None:
        """End all members."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(member.close() for member in self._members))

    # --- members -------------------------------------------------------------------------

    async def _keep_place(self) -> None:
        """Keep one member at work: a dead one is replaced, a worn one when the next is ready."""
        old: Member | None = None
        failures = 0
        while True:
            await asyncio.sleep(_rest(failures))
            born = time.monotonic()
            try:
                member = await self._hire(self._options.setup)
            except (MemberDied, OSError) as error:
                failures += 1
                log.warning("a member could not be started: %s", error)
                continue
            except AppBroken as error:
                self._give_up(str(error))
                return
            self._working.add(member)
            self._resize(self._options.setup.slots)
            log.info("member %d is ready", member.pid)
            if old is not None and not old.gone.is_set():
                log.info("member %d is worn and ends when its jobs have", old.pid)
                self._leave(old)
                self._spawn(self._see_off(old))
            await member.worn.wait()
            lived = time.monotonic() - born
            failures = 0 if member.ended or lived > SETTLED else failures + 1
            old = member

    async def _hire(self, setup: Setup) -> Member:
        member = await Member.start(setup, self._relay, self._lost)
        self._members.add(member)
        self._kin_changed()
        return member

    def _lost(self, member: Member) -> None:
        self._leave(member)
        self._members.discard(member)
        self._stopped.pop(member, None)
        self._kin_changed()

    def _leave(self, member: Member) -> None:
        if member in self._working:
            self._working.remove(member)
            self._resize(-self._options.setup.slots)

    async def _see_off(self, member: Member) -> None:
        await member.idle.wait()
        await member.close()

    async def _run_alone(self, run: Run) -> None:
        """Run a job whose process has died before where it can harm no other."""
        try:
            member = await self._hire(replace(self._options.setup, slots=1))
        except (MemberDied, OSError) as error:
            log.warning("a member could not be started: %s", error)
            run.end(Released(LONGEST_REST))  # no fault of the job's
            return
        except AppBroken as error:
            run.end(Released())
            self._give_up(str(error))
            return
        if run.begin():  # else it was ended meanwhile
            member.send([run], run)
        await self._see_off(member)

    def _check(self, member: Member) -> None:
        now = time.monotonic()
        if not proc.is_stopped(member.pid):
            self._stopped.pop(member, None)
        elif now - self._stopped.setdefault(member, now) >= self._stopped_for:
            log.warning("member %d was stopped from outside: killed", member.pid)
            member.kill()
        limit = self._options.max_memory
        if limit is not None and proc.resident(member.pid) > limit:
            member.worn.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _stretch(run: Run) -> tuple[list[Run], Run]:
    """Return the next runs of a line that are for members, and the last of them."""
    runs, follower = [run], run.follower
    while follower is not None and follower.task.executor != "process":
        runs.append(follower)
        follower = follower.follower
    return runs, runs[-1]


def _rest(failures: int) -> float:
    """Return the seconds to rest when members die at once: the first time may be chance."""
    repeated = max(0, failures - 1)
    longest = min(LONGEST_REST, 2.0 ** min(repeated, 10) - 1)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter
