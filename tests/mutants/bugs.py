"""The bugs that we know how to make, each with the test that must fail when it is in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEADER = re.compile(r"^(-- name:|\s*(async )?def |class )", re.MULTILINE)
"""Where a statement, a function or a class begins, and the one before it ends."""

SQLITE = "src/offload/store/sqlite"
SERVED = "tests/fastapi/served"
CONFORMANCE = "tests/store/test_sqlite.py::TestSQLiteStore"


class DoesNotApply(Exception):
    """The place to edit is not there, or not the only one: the code has changed."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Puts `new` in the place of `old`, which must stand exactly once in a file or folder.

    Line breaks and indents of `old` do not matter; all lines of `new` get the indent of its
    place. `within` narrows it to the statement or function that begins so, and `every` means
    all places, of which there must be one.
    """

    where: str
    old: str
    new: str
    within: str = ""
    every: bool = False

    def apply(self, root: Path) -> None:
        """Edit the copy of the project at `root`.

        Raises:
            DoesNotApply: the code is not what the edit is made for.
        """
        pattern = re.compile(r"\s+".join(map(re.escape, self.old.split())))
        found = 0
        for path in self._files(root):
            text = path.read_text(encoding="utf-8")
            start, end = self._block(text)
            edited, count = pattern.subn(self._put, text[start:end])
            if count:
                path.write_text(text[:start] + edited + text[end:], encoding="utf-8")
            found += count
        if found != 1 and not (self.every and found):
            place = f"{self.where} {self.within}".strip()
            raise DoesNotApply(f"{self.old!r} is {found} times in {place}")

    def _files(self, root: Path) -> Iterator[Path]:
        place = root / self.where
        if place.is_file():
            yield place
        for suffix in (".py", ".sql"):
            yield from sorted(place.rglob(f"*{suffix}"))

    def _block(self, text: str) -> tuple[int, int]:
        if not self.within:
            return 0, len(text)
        start = text.find(self.within)
        if start < 0:
            return 0, 0
        following = HEADER.search(text, start + len(self.within))
        return start, following.start() if following else len(text)

    def _put(self, match: re.Match[str]) -> str:
        line = match.string[: match.start()].rpartition("\n")[2]
        indent = line[: len(line) - len(line.lstrip())]
        return self.new.replace("\n", "\n" + indent)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: what would go wrong for a user, and who finds it."""

    name: str
    why: str
    test: str
    edits: tuple[Edit, ...]


MUTANTS = [
    Mutant(
        "lease fence removed",
        "a worker that was frozen past its lease overwrites what its successor did",
        f"{CONFORMANCE}::test_an_old_lease_is_refused_once_there_is_a_newer_one",
        (
            Edit(SQLITE, "(run.id, run.lease): run", "run.id: run", within="def finish("),
            Edit(SQLITE, "(each.job_id, each.lease)", "each.job_id", within="def finish("),
        ),
    ),
    Mutant(
        "fence fails open",
        "a worker that was refused is told that its report was accepted",
        f"{CONFORMANCE}::test_an_old_lease_is_refused_once_there_is_a_newer_one",
        (Edit(SQLITE, "[run is not None for run, _ in taken]", "[True for _ in taken]"),),
    ),
    Mutant(
        "result after status",
        "who sees the success and asks for the result finds none, for ever after a crash between",
        "tests/store/test_sqlite_file.py::TestVisibility"
        "::test_all_parts_of_an_end_are_seen_together",
        (
            Edit(SQLITE, "result = ?,", "", within="-- name: complete"),
            Edit(SQLITE, "(asked.result, now, run.seq)", "(now, run.seq)", within="def _apply("),
            Edit(
                SQLITE,
                ", -- Success is never seen before its result. "
                "CHECK ((state = 'complete') = (result IS NOT NULL))",
                "",
            ),
            Edit(
                SQLITE,
                "-- name: again",
                "-- name: result\n"
                "UPDATE jobs SET result = :result WHERE id = :id AND state = 'complete'\n\n"
                "-- name: again",
            ),
            Edit(
                SQLITE,
                "return await self._write(lambda tx: finish(tx, finishes, now))",
                "applied = await self._write(lambda tx: finish(tx, finishes, now))\n"
                "late = [{'id': one.job_id, 'result': one.result} for one in finishes]\n"
                "await self._write(lambda tx: [tx.execute(SQL['result'], one) for one in late])\n"
                "return applied",
                within="async def finish",
            ),
        ),
    ),
    Mutant(
        "answered before the commit",
        "a job that was acknowledged is gone after a crash",
        "tests/store/test_sqlite_file.py::TestVisibility"
        "::test_nobody_is_answered_before_the_commit",
        (
            Edit(
                SQLITE,
                "results = [operation(transaction) for operation, *_ in batch]",
                "results = [operation(transaction) for operation, *_ in batch]\n"
                "self._answer([(e[1], result, None) for e, result in zip(batch, results)])",
                within="def _commit",
            ),
        ),
    ),
    Mutant(
        "deferred begin",
        "a transaction that reads first is undone because somebody else has written meanwhile",
        "tests/store/test_sqlite_faults.py::TestLocked"
        "::test_what_a_transaction_has_read_stays_so_until_it_writes",
        (Edit(SQLITE, "BEGIN IMMEDIATE", "BEGIN DEFERRED", within="def immediate"),),
    ),
    Mutant(
        "claim beyond its limit",
        "a worker gets more jobs than it can run",
        f"{CONFORMANCE}::test_order_holds_across_queues",
        (Edit(SQLITE, "sorted(line, key=_place)[:limit]", "sorted(line, key=_place)"),),
    ),
    Mutant(
        "unique by check, then insert",
        "two callers at the same moment both get a job of the same key",
        "tests/store/test_sqlite_file.py::TestTwoStores"
        "::test_racers_on_both_for_a_key_all_get_the_one_job",
        (
            Edit(SQLITE, "CREATE UNIQUE INDEX jobs_held", "CREATE INDEX jobs_held"),
            Edit(
                SQLITE,
                "if new.unique is not None: holder = _holder(tx, new.unique, now) "
                "if holder is not None: return holder",
                "",
                within="def _one(",
            ),
            Edit(
                SQLITE,
                "answer = await self._write(lambda tx: refusable(tx, fresh, now))",
                "held = []\n"
                "for key in [new.unique.key for new in jobs if new.unique is not None]:\n"
                "    held += await self._read(SQL['holder'].replace('?', ':key'), {'key': key})\n"
                "if held:\n"
                "    return [job for job in await self.get([held[0][0]])]\n"
                "answer = await self._write(lambda tx: refusable(tx, fresh, now))",
                within="async def enqueue",
            ),
        ),
    ),
    Mutant(
        "lease by the wall clock",
        "when the clock is set forward, all workers lose their jobs to each other",
        f"{CONFORMANCE}::test_a_lease_is_not_judged_by_the_wall_clock",
        (Edit(SQLITE, "self._clock.ticks()", "self._clock.now() / 1000", every=True),),
    ),
    Mutant(
        "heartbeat on the job's thread",
        "a task that blocks its event loop is taken for dead and runs a second time beside itself",
        "tests/worker/test_crashes.py"
        "::test_a_task_that_hogs_its_process_keeps_its_lease[async-gate]",
        (
            Edit("src/offload/queue", "url=self.store.capabilities.url", "url=None"),
            Edit(
                "src/offload/worker/steward.py",
                "held = await self._store.heartbeat(self._beat)",
                "import asyncio\n"
                "users = self._executors['async']._loop\n"
                "turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), users)\n"
                "await asyncio.wrap_future(turn)\n"
                "held = await self._store.heartbeat(self._beat)",
            ),
        ),
    ),
    Mutant(
        "no patience for the first beat",
        "a server that restarts takes every worker with it that has just begun",
        "tests/worker/test_services.py"
        "::test_a_first_beat_waits_for_a_store_that_has_just_gone_away",
        (
            Edit(
                "src/offload/worker/worker.py",
                "await steward.register(stop)",
                "await self._store.heartbeat(self._beat)",
            ),
        ),
    ),
    Mutant(
        "rescue ignores the retries",
        "a job that was to run once runs again after its worker died",
        "tests/worker/test_services.py::test_a_lapsed_job_without_retries_dies_with_its_reason",
        (
            Edit(
                "src/offload/core/decide.py",
                "if job.attempt > job.retry.max_retries:",
                "if job.attempt > 10**9:",
                within="def _after_loss",
            ),
        ),
    ),
    Mutant(
        "failure ignores the retries",
        "a job that can never succeed is tried for ever",
        "tests/core/test_decide.py::test_an_error_is_retried_until_the_retries_are_used_up",
        (
            Edit(
                "src/offload/core/decide.py",
                "if job.attempt > job.retry.max_retries:",
                "if job.attempt > 10**9:",
                within="def _after_error",
            ),
        ),
    ),
    Mutant(
        "tick without its key",
        "two schedulers at the same moment both fire the same tick",
        f"{CONFORMANCE}::test_a_tick_fires_once",
        (Edit(SQLITE, "or schedule.next_at != fire.tick", "", within="def _fire_one"),),
    ),
    Mutant(
        "permit not tied to the lease",
        "a place of a lane is gone for good when the worker that held it has died",
        f"{CONFORMANCE}::test_a_lost_job_keeps_its_place_until_it_is_ended",
        (
            Edit(
                SQLITE,
                "CREATE TABLE lanes (",
                "CREATE TABLE lanes (\n    taken INTEGER NOT NULL DEFAULT 0,",
            ),
            Edit(
                SQLITE,
                "lanes.max_running - ( SELECT count(*) FROM jobs AS held WHERE held.state = "
                "'running' AND held.lane IS NOT NULL AND held.lane = jobs.lane )",
                "lanes.max_running - lanes.taken",
            ),
            Edit(
                SQLITE,
                "tx.channels.add(Channel.CHANGED)",
                "tx.channels.add(Channel.CHANGED)\n"
                "tx.execute(\n"
                "    'UPDATE lanes SET taken = taken + (SELECT count(*) FROM jobs '\n"
                "    'WHERE jobs.lane = lanes.name '\n"
                "    'AND jobs.seq IN (SELECT value FROM json_each(:seqs)))',\n"
                "    {'seqs': json.dumps(seqs)},\n"
                ")",
                within="def claim(",
            ),
            Edit(
                SQLITE,
                "lanes = [run.lane for run, _, _ in ends if run.lane is not None]",
                "lanes = [run.lane for run, _, _ in ends if run.lane is not None]\n"
                "back = [(run.lane,) for run, asked, _ in ends if not asked.crashed]\n"
                "tx.each('UPDATE lanes SET taken = taken - 1 WHERE name = ?', back)",
            ),
        ),
    ),
    Mutant(
        "synchronous is ignored",
        "an acknowledged job is gone after a power loss",
        "tests/power/test_power_loss.py::test_full_keeps_every_acknowledged_promise",
        (
            Edit(
                SQLITE,
                'f"PRAGMA synchronous = {synchronous}"',
                '"PRAGMA synchronous = NORMAL"',
            ),
        ),
    ),
    Mutant(
        "repeated hour forgotten",
        "a job of every minute falls silent for the second pass through a repeated hour",
        "tests/cron/test_dst.py"
        "::test_a_wildcard_job_fires_in_each_real_minute_that_matches[America/New_York]",
        (
            Edit(
                "src/offload/cron",
                "CronSim(self.expression, wall - (last - first))",
                "CronSim(self.expression, wall)",
            ),
        ),
    ),
    Mutant(
        "pause lost by a restart",
        "a schedule that an operator has paused fires again after a deployment",
        "tests/worker/test_timekeeper.py::test_a_restart_keeps_a_pause",
        (
            Edit(
                "src/offload/core/schedule.py",
                "paused=there.paused,",
                "",
                within="def redefined",
            ),
        ),
    ),
    Mutant(
        "closed before the drain",
        "a request task finds the application's database closed when the server stops",
        f"{SERVED}/test_shutdown.py::test_what_waits_for_a_slot_is_drained_as_well",
        (Edit("src/offload/fastapi/middleware.py", "await self._tasks.stop()", "pass"),),
    ),
    Mutant(
        "shield without effect",
        "a payment that was shielded is cut short by a deployment",
        f"{SERVED}/test_shutdown.py::test_a_shielded_task_has_longer_than_others",
        (
            Edit(
                "src/offload/inproc/draining.py",
                "if shielded or not task.options.shield:",
                "if True:",
            ),
        ),
    ),
    Mutant(
        "no job at the end",
        "a queue task that ran here is lost by a shutdown that has no time for it",
        f"{SERVED}/test_shutdown.py::test_queue_tasks_without_time_become_jobs",
        (
            Edit(
                "src/offload/inproc/running.py",
                "if task.stop_reason == SHUTDOWN and task.new_job is not None:",
                "if False:",
            ),
        ),
    ),
    Mutant(
        "a task ends the server",
        "sys.exit in somebody's task takes the whole process down",
        f"{SERVED}/test_failures.py::test_the_server_serves_on_whatever_tasks_do",
        (
            Edit(
                "src/offload/inproc/running.py",
                "except BaseException as raised:  # noqa",
                "except Exception as raised:  # noqa",
            ),
        ),
    ),
    Mutant(
        "a client that leaves is a failure",
        "the e-mail after an upload is not sent, because the browser was closed early",
        f"{SERVED}/test_requests.py::test_a_websocket_that_its_client_leaves_is_no_failure[plain]",
        (
            Edit(
                "src/offload/fastapi/middleware.py",
                "exchange.ended(None if isinstance(error, LEFT) else error)",
                "exchange.ended(error)",
            ),
        ),
    ),
    Mutant(
        "a cancelled decoder goes on",
        "whoever gives up on a stranger's file leaves a process that is busy with it for ever",
        "tests/worker/test_isolated.py::test_whoever_is_cancelled_has_its_process_killed",
        (
            Edit(
                "src/offload/worker/isolated.py",
                "except BaseException:",
                "except Exception:",
            ),
        ),
    ),
    Mutant(
        "as many processes as calls",
        "a thousand calls at once start a thousand interpreters",
        "tests/worker/test_isolated.py"
        "::test_as_many_run_at_once_as_there_are_places_and_processes_stay_warm",
        (
            Edit(
                "src/offload/worker/isolated.py",
                "async with self._slots:",
                "if True:",
            ),
        ),
    ),
    Mutant(
        "a picture is closed over by what it calls",
        "each picture's memory and file stay until the garbage collector comes round",
        "services/imaging/tests/test_pipeline.py"
        "::test_a_picture_lets_go_of_its_file_without_the_garbage_collector",
        (
            Edit(
                "services/imaging/src/imaging/pipeline.py",
                "decoding.set_kill(True)",
                "image.set_kill(True)",
            ),
        ),
    ),
]
