"""The command's members: what one that dies, hangs or wears out costs, and whom."""

import asyncio
import os
import signal
from typing import Any

import pytest

from offload import JobCancelled, JobDead
from tests.worker.staging import Stage, command, ends, gone, parent, reached

LEASE = 2.0
SOON = 0.05
FAIR = 1.0
"""Seconds in which a function has begun, on a busy machine, too."""
MEMBER = "offload.worker.member"


async def described(app: Any, executor: str = "thread") -> int:
    """Run a job, and return the process that it ran in."""
    job = await app.TASKS[executor].adelay("describe")
    return int((await job.aresult(timeout=30))["pid"])


async def elsewhere(app: Any, pid: int) -> int:
    """Run jobs until one runs in another process, and return that."""
    async with asyncio.timeout(30):
        while (other := await described(app)) == pid:
            pass
    return other


# --- death -------------------------------------------------------------------------------


async def test_what_ran_in_a_killed_member_runs_again_and_the_worker_goes_on(
    app: Any, stage: Stage
) -> None:
    async with command(stage) as process:
        jobs = [
            await app.TASKS[kind].aapply_async([deed], max_retries=1)
            for kind, deed in (("thread", "gate"), ("async", "wait"), ("thread", "gate"))
        ]
        [member] = {await stage.started() for _ in jobs}
        assert parent(member) == process.pid
        os.kill(member, signal.SIGKILL)
        # Each is a suspect now, and alone in a member until it has ended.
        others = {await stage.started() for _ in jobs}
        assert len(others - {member}) == 3
        for job in jobs:
            stored = (await job.arefresh()).job
            assert (stored.attempt, stored.crashes) == (2, 1)
            [error] = await app.queue.ajob_errors(job.id)
            assert error.failure.type == "WorkerLost"
            assert error.failure.message == "its process died (signal 9)"
        stage.open_gate(2, runs=2)
        for job in (jobs[0], jobs[2]):
            assert await job.aresult(timeout=30) == "lease 2"
        await jobs[1].acancel(running=True)
        with pytest.raises(JobCancelled):
            await jobs[1].aresult(timeout=30)
        await gone(others)
        assert await described(app) not in {member, *others}
        assert process.returncode is None


async def test_jobs_without_retries_die_with_their_member_at_once(app: Any, stage: Stage) -> None:
    async with command(stage):
        jobs = [await app.in_thread.adelay("gate") for _ in range(2)]
        [member] = {await stage.started() for _ in jobs}
        os.kill(member, signal.SIGKILL)
        for job in jobs:
            with pytest.raises(JobDead, match=r"WorkerLost: its process died .signal 9"):
                await job.aresult(timeout=30)


@pytest.mark.parametrize("executor", ["async", "thread"])
@pytest.mark.parametrize("slots", ["1", "4"])
async def test_poison_dies_alone_and_what_waits_behind_it_has_not_begun(
    app: Any, stage: Stage, executor: str, slots: str
) -> None:
    """Many short jobs share lines; one in their middle kills its process, three times."""
    task = app.TASKS[executor]
    before = [task.new_job(["return"], {}, max_retries=1) for _ in range(150)]
    poison = task.new_job(["kill"], {}, max_retries=9)
    after = [task.new_job(["return"], {}, max_retries=1) for _ in range(150)]
    await app.queue._client.enqueue([*before, poison, *after])  # noqa: SLF001 - all at once
    async with command(stage, "-c", slots, "--grace", "0") as process:
        job = await reached(app.queue, poison.id, "dead")
        assert "PoisonJob: its process died 3 times" in str(job.error)
        for new in (*before, *after):
            await reached(app.queue, new.id, "complete")
        process.terminate()
        assert await ends(process) == 0
    effects = [effect[:2] for effect in stage.effects]
    assert effects.count(["kill", poison.id]) == 3
    neighbours = 0
    for new in (*before, *after):
        stored = (await app.queue.aget_job(new.id)).job
        neighbours += stored.crashes
        # Who has used an attempt had begun, or was about to in another slot.
        assert 1 <= effects.count(["return", new.id]) <= stored.attempt
        assert stored.attempt == stored.crashes + 1
    assert neighbours < int(slots)


async def test_lines_of_all_kinds_lose_nothing(app: Any, stage: Stage) -> None:
    tasks = [app.in_thread, app.in_loop, app.in_thread, app.in_loop, app.in_process]
    new = [tasks[n % 5].new_job(["return"], {}, max_retries=1) for n in range(400)]
    await app.queue._client.enqueue(new)  # noqa: SLF001 - all at once
    async with command(stage, "-p", "2", "-c", "2"):
        for job in new:
            await reached(app.queue, job.id, "complete")
    assert sorted(effect[1] for effect in stage.effects) == sorted(job.id for job in new)


async def test_what_a_line_holds_up_is_given_back(app: Any, stage: Stage) -> None:
    """Tasks prove short, so many share a line; then the first of one waits."""
    quick = [app.in_thread.new_job(["return"], {}, max_retries=1) for _ in range(200)]
    slow = app.in_thread.new_job(["gate"], {}, max_retries=1)
    behind = [app.in_thread.new_job(["return"], {}, max_retries=1) for _ in range(50)]
    await app.queue._client.enqueue([*quick, slow, *behind])  # noqa: SLF001 - all at once
    async with command(stage, "-c", "2"):
        await stage.started()
        for job in behind:
            done = await reached(app.queue, job.id, "complete")
            assert done.job.attempt == 1
        stage.open_gate()
        await reached(app.queue, slow.id, "complete")


async def test_a_member_that_is_stopped_is_killed(app: Any, stage: Stage) -> None:
    async with command(stage, lease=LEASE) as process:
        job = await app.in_thread.aapply_async(["gate"], max_retries=1)
        member = await stage.started()
        os.kill(member, signal.SIGSTOP)
        await gone([member])
        assert await stage.started() != member
        stage.open_gate(2)
        assert await job.aresult(timeout=30) == "lease 2"
        assert process.returncode is None


async def test_signals_for_the_whole_group_are_for_the_supervisor(app: Any, stage: Stage) -> None:
    """As a service manager sends them to every process of a service."""
    async with command(stage, "--grace", "3600") as process:
        job = await app.in_thread.adelay("gate")
        member = await stage.started()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(member, number)
        process.terminate()
        stage.open_gate()
        assert await ends(process) == 0
    assert await job.aresult(timeout=0) == "lease 1"


async def test_what_a_dead_member_has_started_goes_with_it(app: Any, stage: Stage) -> None:
    async with command(stage):
        job = await app.in_thread.adelay("orphan")
        adopted = await stage.started(word="adopted")
        await gone([adopted])
        with pytest.raises(JobDead, match="exit code 9"):
            await job.aresult(timeout=30)


@pytest.mark.parametrize("executor", ["thread", "process"])
async def test_nothing_outlives_a_killed_supervisor(app: Any, stage: Stage, executor: str) -> None:
    """Neither its members, nor a program that a function has started."""
    async with command(stage) as process:
        await app.TASKS[executor].adelay("adopt")
        adopted = await stage.started(word="adopted")
        family = stage.inhabitants() | {adopted}
        process.kill()
        await gone(family)
        assert not stage.inhabitants()


async def test_slots_are_spread_over_the_members(app: Any, stage: Stage) -> None:
    async with command(stage, "-p", "2", "-c", "1"):
        jobs = [await app.in_thread.adelay("gate") for _ in range(3)]
        pids = {await stage.started() for _ in range(2)}
        assert len(pids) == 2
        stage.open_gate(runs=3)
        assert await stage.started() in pids
        for job in jobs:
            assert await job.aresult(timeout=30) == "lease 1"


async def test_an_application_that_members_cannot_import_is_one_clear_error(
    app: Any, stage: Stage
) -> None:
    async with command(stage, "-p", "2", OFFLOAD_TEST_MEMBERS="broken") as process:
        assert await ends(process) == 1
    last = stage.log.splitlines()[-1]
    assert last.startswith("offload: ")
    assert last.endswith("ImportError: broken for members")
    assert "app.py" in stage.log
    assert await app.queue.alist_workers() == []


async def test_a_member_that_dies_at_its_start_is_tried_again(app: Any, stage: Stage) -> None:
    """The machine may be short of memory for a moment."""
    async with command(stage, OFFLOAD_TEST_MEMBERS="die twice"):
        await described(app)
    assert stage.log.count("a member could not be started: exit code 5") == 2


# --- stops -------------------------------------------------------------------------------


@pytest.mark.parametrize(("executor", "deed"), [("async", "wait"), ("thread", "look")])
@pytest.mark.parametrize("retried", [False, True])
async def test_a_cancel_reaches_a_member(
    app: Any, stage: Stage, executor: str, deed: str, *, retried: bool
) -> None:
    async with command(stage):
        job = await app.TASKS[executor].aapply_async([deed], max_retries=5)
        member = await stage.started()
        if retried:  # a suspect, in a member of its own
            os.kill(member, signal.SIGKILL)
            member = await stage.started()
        assert await job.acancel(running=True)
        with pytest.raises(JobCancelled, match="cancelled while running"):
            await job.aresult(timeout=30)
        if retried:
            await gone([member])


@pytest.mark.parametrize(("executor", "deed"), [("async", "wait"), ("thread", "look")])
async def test_a_timeout_reaches_a_member(app: Any, stage: Stage, executor: str, deed: str) -> None:
    async with command(stage):
        pid = await described(app)
        job = await app.TASKS[executor].aapply_async([deed], timeout=SOON)
        with pytest.raises(JobDead, match=r"JobTimeout: .* its timeout of 0.05 s$"):
            await job.aresult(timeout=30)
        assert await described(app) == pid


@pytest.mark.parametrize(
    ("executor", "deed", "survives"),
    [
        ("thread", "gate", True),
        ("async", "swallow", True),
        ("thread", "hog", False),
        ("async", "gate", False),
    ],
)
async def test_the_hard_limit_costs_a_member_only_if_nothing_else_helps(
    app: Any, stage: Stage, executor: str, deed: str, *, survives: bool
) -> None:
    """A thread is left behind; who holds up the loop or the interpreter is killed."""
    async with command(stage, OFFLOAD_TEST_HARD=str(SOON)) as process:
        job = await app.TASKS[executor].aapply_async([deed], timeout=FAIR)
        member = await stage.started()
        with pytest.raises(JobDead, match="and did not stop"):
            await job.aresult(timeout=30)
        if not survives:
            await gone([member])
        assert (await described(app) == member) == survives
        assert process.returncode is None
    assert len(await app.queue.ajob_errors(job.id)) == 1


async def test_a_member_full_of_threads_that_hang_is_replaced(app: Any, stage: Stage) -> None:
    async with command(stage, "-c", "2", OFFLOAD_TEST_HARD=str(SOON)):
        member = await described(app)
        for _ in range(3):
            job = await app.in_thread.aapply_async(["gate"], timeout=SOON)
            with pytest.raises(JobDead, match="and did not stop"):
                await job.aresult(timeout=30)
        await gone([member])
        assert await described(app) != member


# --- recycling ---------------------------------------------------------------------------


async def test_a_member_is_replaced_after_its_jobs(app: Any, stage: Stage) -> None:
    async with command(stage, "--max-jobs", "3"):
        running = await app.in_thread.adelay("gate")
        member = await stage.started()
        await elsewhere(app, member)
        # What ran in it may end in it; then it goes.
        assert member in stage.inhabitants(MEMBER)
        stage.open_gate()
        assert await running.aresult(timeout=30) == "lease 1"
        await gone([member])


async def test_a_member_is_replaced_when_it_has_grown(app: Any, stage: Stage) -> None:
    async with command(stage, "--max-memory", "200MB"):
        member = await described(app)
        assert await (await app.in_thread.adelay("grow")).aresult(timeout=30) == member
        other = await elsewhere(app, member)
        await gone([member])
        assert await described(app) == other


# --- the end -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("executor", "deed"),
    [("thread", "gate"), ("thread", "hog"), ("async", "gate"), ("async", "swallow")],
)
async def test_nothing_keeps_the_command_from_ending(
    app: Any, stage: Stage, executor: str, deed: str
) -> None:
    async with command(stage, "--grace", "0") as process:
        job = await app.TASKS[executor].adelay(deed)
        await stage.started()
        family = stage.inhabitants()
        process.terminate()
        assert await ends(process) == 0
        await gone(family)
        assert not stage.inhabitants()
    stored = (await job.arefresh()).job
    assert (str(stored.state), stored.attempt, stored.crashes) == ("pending", 0, 0)
    assert await app.queue.alist_workers() == []
    assert "Traceback" not in stage.log


async def test_a_stopped_member_does_not_keep_it_either(app: Any, stage: Stage) -> None:
    async with command(stage, "--grace", "0") as process:
        job = await app.in_loop.adelay("wait")
        os.kill(await stage.started(), signal.SIGSTOP)
        process.terminate()
        assert await ends(process) == 0
        assert not stage.inhabitants()
    stored = (await job.arefresh()).job
    assert (str(stored.state), stored.attempt) == ("pending", 0)


async def test_a_suspect_whose_member_is_still_starting_is_given_back(
    app: Any, stage: Stage
) -> None:
    async with command(stage, "--grace", "0") as process:
        job = await app.in_thread.aapply_async(["gate"], max_retries=1)
        os.kill(await stage.started(), signal.SIGKILL)
        await reached(app.queue, job.id, "pending")
        process.terminate()
        assert await ends(process) == 0
        # A member that is only just starting hears of it when it has started.
        await gone(stage.inhabitants())
    stored = (await job.arefresh()).job
    assert str(stored.state) == "pending"
    assert stored.attempt == len(await app.queue.ajob_errors(job.id)) == 1
