"""The driver: each step is a script, and a script is one step."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from offload.core.alike import Alike
from offload.core.errors import ConfigurationError, DependencyError, DuplicateJob
from offload.core.job import Job, NewJob, repeated, stored
from offload.core.parcel import Parcel
from offload.core.records import DeadLetter, Finish, Held, Report
from offload.core.schedule import Edit, Fire, Schedule, edited, redefined
from offload.store.base import (
    FORGET_WORKERS,
    Beat,
    Capabilities,
    Channel,
    Claim,
    Lapse,
    Pruned,
    RecordFilter,
)
from offload.store.clock import Clock
from offload.store.health import Level
from offload.store.holders import Holders
from offload.store.redis import moving
from offload.store.redis.address import address_of
from offload.store.redis.ear import CODES, Ear
from offload.store.redis.health import eviction, facts
from offload.store.redis.inserting import insertion
from offload.store.redis.link import Link
from offload.store.redis.reading import Reading
from offload.store.redis.records import schedule_of, schedule_row
from offload.store.redis.requests import are_plain, ending, news, request, requests
from offload.store.redis.rows import SEEN, Reply, all_jobs_of, job_of, row_of
from offload.store.redis.wire import Part
from offload.store.signals import Signals

LAYOUT = 2
"""Rises when an older version could not work with what a newer one has stored."""
SLICE = 200
"""How much a prune removes at a time: nobody else is served meanwhile."""
MOST_RECORDS = 1_000_000
"""More than is kept of any job."""


class RedisStore(Reading):
    """See `offload.store.base.Store` for what each method owes."""

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        """Keep jobs on the server at `url`; the time is the server's, unless a test brings one.

        Raises:
            ConfigurationError: the URL makes no sense.
        """
        self.address = address_of(url)
        self.capabilities = Capabilities(url=url, any_thread=True)
        self._clock = clock
        self._signals = Signals()
        self._holders = Holders()
        self._link: Link | None = None
        self._opening = asyncio.Lock()

    # --- opening -------------------------------------------------------------------------

    async def open(self) -> None:
        """Reach the server, see that it is fit for jobs, and listen to its news."""
        async with self._opening:
            if self._link is None:
                await self._open()

    async def _open(self) -> None:
        link = Link(self.address, self._clock)
        ear = Ear(self.address, self._signals.notify)
        try:
            _require_safe(await link.command("INFO", "memory"))
            _require_known((await link.call("open", LAYOUT))[1])
            await ear.open()
        except BaseException:
            await ear.close()
            await link.close()
            raise
        self._link, self._ear = link, ear

    async def close(self) -> None:
        """Await the answers to what was asked, then let go of both connections."""
        if self._link is None:
            return
        link, self._link = self._link, None
        self._opening = asyncio.Lock()  # the store may be opened again on another loop
        await link.close()
        await self._ear.close()

    async def _call(
        self, name: str, *values: Part, once: bool = False, kept: bool = False
    ) -> Reply:
        if self._link is None:
            raise ConfigurationError("the store is not open")
        reply: Reply = await self._link.call(name, *values, once=once, kept=kept)
        for code in reply[0]:
            self._signals.notify(CODES[code])
        return reply

    async def _command(self, name: str, key: str, *values: Part) -> Any:
        if self._link is None:
            raise ConfigurationError("the store is not open")
        return await self._link.command(name, self.address.root + key, *values)

    async def _schedules(self, names: Sequence[str]) -> dict[str, bytes]:
        found = await self._command("HMGET", "schedules", *names) if names else []
        return {name: raw or b"" for name, raw in zip(names, found, strict=True)}

    async def now(self) -> int:
        """Return the server's clock, by which all workers go."""
        now: int = (await self._call("now"))[1]
        return now

    # --- hot -----------------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Store the jobs in one script."""
        quick = insertion(jobs)
        if quick is not None:
            reply = await self._call("insert", *quick, kept=True)
            if reply[1] != b"":
                return _as_asked(jobs, reply[1])
        plain, asked = are_plain(jobs), requests(jobs)
        reply = _admitted(await self._call("enqueue", "1" if plain else "0", *asked, kept=True))
        if reply[1] == b"jobs":
            return all_jobs_of(reply, 3)
        now, count = reply[2:4]
        places = reply[4 : 4 + count]
        there = dict(zip(places, all_jobs_of(reply, 4 + count), strict=True))
        return [there.get(place) or stored(new, now) for place, new in enumerate(jobs)]

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Take the first ready jobs."""
        everything = "1" if queues is None else "0"
        reply = await self._call("claim", worker, limit, everything, *(queues or ()))
        due, now = reply[1:3]
        jobs = all_jobs_of(reply, 3)
        self._holders.note(worker, jobs)
        return Claim(jobs, None if due == b"" else max(0.0, (due - now) / 1000))

    async def heartbeat(self, beat: Beat) -> list[Held]:
        """Record the beat and read what the worker holds."""
        said = json.dumps([beat.host, beat.pid, beat.queues, beat.concurrency])
        _, *held = await self._call("beat", beat.worker, repr(float(beat.lease)), said)
        return [
            Held(held[place].decode(), held[place + 1], held[place + 2] == 1)
            for place in range(0, len(held), 3)
        ]

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Apply the endings in one script."""
        asked = [
            part
            for each in finishes
            for part in ending(each, self._holders.of(each.job_id, each.lease))
        ]
        _, *applied = await self._call("finish", *asked, once=True, kept=True)
        for each in finishes:
            self._holders.forget(each.job_id, each.lease)
        return [yes == 1 for yes in applied]

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        """Store the news in one script."""
        asked = [
            part
            for each in reports
            for part in news(each, self._holders.of(each.job_id, each.lease))
        ]
        _, *accepted = await self._call("report", *asked, once=True)
        return [yes == 1 for yes in accepted]

    # --- operator ------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, running: bool = False) -> bool:
        """Cancel a pending job, or ask a running one to stop."""
        reply = await self._call("cancel", job_id, "1" if running else "0", once=True, kept=True)
        return bool(reply[1])

    async def retry_dead(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Swap dead letters for fresh jobs in one script."""
        letters = await self._call("letters", "", *new_ids)
        shown = [letters[place : place + SEEN] for place in range(1, len(letters), SEEN)]
        return await self._repeat("dead", [(row[1], job_of(row)) for row in shown], new_ids)

    async def replay(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Enqueue ended jobs again in one script."""
        jobs = await self.get(list(new_ids))
        return await self._repeat("ended", [("", job) for job in jobs if job], new_ids)

    async def _repeat(
        self, kind: str, found: Sequence[tuple[Part, Job]], new_ids: Mapping[str, str]
    ) -> dict[str, Job]:
        asked: list[Part] = []
        for row, job in found:
            asked += [job.id, row, *request(repeated(job, new_ids[job.id]))]
        reply = await self._call("repeat", kind, *asked, once=True, kept=True)
        count = reply[1]
        origins = [found[place][1].id for place in reply[2 : 2 + count]]
        return dict(zip(origins, all_jobs_of(reply, 2 + count), strict=True))

    async def set_paused(self, queue: str, *, paused: bool) -> bool:
        """Add the queue to those that stand still, or remove it."""
        reply = await self._call("pause", queue, "1" if paused else "0", once=True)
        return bool(reply[1])

    async def prune(
        self,
        *,
        jobs_older_than: float | None = None,
        dead_older_than: float | None = None,
        records_older_than: float | None = None,
        limit: int = 1000,
    ) -> Pruned:
        """Remove what is old, some at a time."""
        jobs, lost = await self._prune("jobs", jobs_older_than, limit)
        letters = records = 0
        if dead_older_than is not None:
            letters, _ = await self._prune("dead", dead_older_than, limit)
        if records_older_than is not None:
            records, _ = await self._prune("records", records_older_than, limit)
        await self._call("prune", "workers", FORGET_WORKERS, 0)
        return Pruned(jobs, letters, lost + records)

    async def _prune(self, kind: str, age: float | None, limit: int) -> tuple[int, int]:
        total = records = 0
        while total < limit:
            most = min(SLICE, limit - total)
            asked = "" if age is None else repr(float(age))
            _, count, more = await self._call("prune", kind, asked, most)
            total, records = total + count, records + more
            if count < most:
                break
        return total, records

    # --- liveness ------------------------------------------------------------------------

    async def retire(self, worker: str) -> None:
        """Forget the worker's beat."""
        await self._call("retire", worker)

    async def lapsed(self, limit: int) -> list[Lapse]:
        """Look at those who hold jobs, and take the jobs of who is silent."""
        reply = await self._call("lapsed", limit)
        count = reply[1]
        reasons = [reason.decode() for reason in reply[2 : 2 + count]]
        jobs = all_jobs_of(reply, 2 + count)
        return [Lapse(job, reason) for job, reason in zip(jobs, reasons, strict=True)]

    # --- schedules and locks -------------------------------------------------------------

    async def put_schedules(self, schedules: Sequence[Schedule]) -> None:
        """Store the definitions, and again if one was changed meanwhile."""
        while True:
            there = await self._schedules([each.name for each in schedules])
            asked: dict[str, Schedule] = {}
            for each in schedules:
                old = asked.get(each.name) or _read(each.name, there[each.name])
                asked[each.name] = each if old is None else redefined(old, each)
            after = {name: schedule_row(schedule) for name, schedule in asked.items()}
            if await self._swap(there, after):
                return

    async def edit_schedule(self, name: str, edit: Edit) -> Schedule | None:
        """Change the schedule, and again if somebody else did meanwhile."""
        while True:
            there = await self._schedules([name])
            old = _read(name, there[name])
            if old is None:
                return None
            changed = edited(old, edit)
            if await self._swap(there, {name: schedule_row(changed)}):
                return changed

    async def delete_schedule(self, name: str) -> bool:
        """Remove the schedule."""
        while True:
            there = await self._schedules([name])
            if not there[name]:
                return False
            if await self._swap(there, {name: b""}):
                return True

    async def _swap(self, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> bool:
        asked = [part for name, row in after.items() for part in (name, before[name], row)]
        return bool((await self._call("schedules", *asked, once=True))[1])

    async def fire(self, fires: Sequence[Fire]) -> list[list[Job] | None]:
        """Enqueue the jobs of due ticks in one script."""
        asked: list[Part] = []
        for each in fires:
            asked += [each.name, each.tick, each.next_at, len(each.jobs)]
            for new in each.jobs:
                asked += [*request(new), "" if new.tick is None else new.tick]
        reply = _admitted(await self._call("fire", *asked, once=True, kept=True))
        counts = reply[2 : 2 + reply[1]]
        jobs = iter(all_jobs_of(reply, 2 + reply[1]))
        return [None if count < 0 else [next(jobs) for _ in range(count)] for count in counts]

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Take or extend the lock."""
        reply = await self._call("lock", "take", name, owner, repr(float(ttl)), once=True)
        return reply[1] or None

    async def release(self, name: str, owner: str) -> bool:
        """Let go of the lock."""
        return bool((await self._call("lock", "drop", name, owner, 0, once=True))[1])

    # --- moving --------------------------------------------------------------------------

    async def pack(self, after: int, limit: int) -> list[Parcel]:
        """Read jobs in one script, and then what is kept of those that have anything."""
        reply = (await self._call("pack", after, limit))[1:]
        count = len(reply) // (SEEN + 1)
        rows = [reply[SEEN * place : SEEN * place + SEEN] for place in range(count)]
        kept = reply[SEEN * count :]
        return list(await asyncio.gather(*map(self._packed, rows, kept)))

    async def _packed(self, shown: Sequence[Any], kept: Sequence[Any]) -> Parcel:
        job, there = job_of(shown), row_of(shown[1])
        parents = (await self.family(job.id)).parents if there.has_parents else []
        of_job = RecordFilter(job_id=job.id, limit=MOST_RECORDS)
        return replace(
            moving.packed(job, shown[1], kept, tuple(parents)),
            errors=tuple(await self.errors(job.id)) if there.errors else (),
            logs=tuple(await self.logs(of_job)) if there.logs else (),
            parts=tuple(await self.parts(job.id, 0, kept[3])) if kept[3] else (),
            metrics=tuple(await self.metrics(of_job)) if there.metrics else (),
            repeats=tuple(await self.repeats(job.id)) if kept[4] else (),
        )

    async def unpack(self, parcels: Sequence[Parcel]) -> list[bool]:
        """Store the jobs in one script."""
        asked = [part for parcel in parcels for part in moving.arriving(parcel)]
        _, *stored_ = await self._call("unpack", *asked, once=True, kept=True)
        return [yes == 1 for yes in stored_]

    async def forget(self, versions: Mapping[str, int]) -> list[bool]:
        """Remove the jobs in one script."""
        asked = [part for pair in versions.items() for part in pair]
        _, *gone = await self._call("forget", *asked, once=True)
        return [yes == 1 for yes in gone]

    async def put_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Store the letters in one script."""
        asked = [part for each in letters for part in moving.letter(each.job)]
        await self._call("put_letters", *asked, once=True, kept=True)

    async def drop_letters(self, ids: Sequence[str]) -> None:
        """Remove the letters in one script."""
        await self._call("drop_letters", *ids)

    # --- waking --------------------------------------------------------------------------

    def cursor(self, channel: Channel) -> int:
        """Return the channel's count."""
        return self._signals.cursor(channel)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Wait for news of this process or, through the ear, of another."""
        if channel is Channel.CHANGED and self._link is not None:
            self._ear.want_changes()
        await self._signals.wait(channel, cursor, limit)


def _as_asked(jobs: Sequence[NewJob], now: int) -> Sequence[Job]:
    if isinstance(jobs, Alike):
        return Alike(stored(jobs.pattern, now), jobs.ids, jobs.payloads)
    return [stored(new, now) for new in jobs]


def _read(name: str, raw: bytes) -> Schedule | None:
    return schedule_of(name, raw) if raw else None


def _admitted(reply: Reply) -> Reply:
    match reply[1:]:
        case [b"held", key, holder]:
            raise DuplicateJob(key.decode().removeprefix("="), holder.decode())
        case [b"unknown", job_id, parent]:
            raise DependencyError(
                f"job {job_id.decode()} depends on {parent.decode()}, which is not there: "
                "enqueue the parent first, or before it in the same batch"
            )
    return reply


def _require_safe(info: bytes) -> None:
    found = eviction(facts(info))
    if found.level is Level.WRONG:
        raise ConfigurationError(f"maxmemory-policy {found.found}: {found.remedy}")


def _require_known(layout: int) -> None:
    if layout > LAYOUT:
        raise ConfigurationError(
            f"the queue has layout {layout}, this offload knows {LAYOUT}: "
            "upgrade offload in this process too"
        )
