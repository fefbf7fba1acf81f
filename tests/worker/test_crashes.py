"""Workers that are killed or frozen: nothing is lost, and nothing is counted twice."""

import os
import signal
from typing import Any

import pytest

from offload import JobDead
from tests.worker.staging import Stage, command, ends, gone, parent, reached, started

LEASE = 2.0


async def test_a_killed_workers_job_waits_again_at_once(app: Any, stage: Stage) -> None:
    """Its heart takes over, long before the lease of an hour is out; then it leaves, too."""
    async with command(stage) as process:
        job = await app.in_thread.aapply_async(["gate"], max_retries=1)
        assert parent(await stage.started()) == process.pid
        family = stage.inhabitants()
        assert len(family) == 3  # with its heart and its member
        process.kill()
        await reached(app.queue, job.id, "pending")
        await gone(family)
    [error] = await app.queue.ajob_errors(job.id)
    assert (error.attempt, error.failure.type) == (1, "WorkerLost")
    assert "is gone" in error.failure.message
    async with command(stage) as process:
        assert parent(await stage.started()) == process.pid
        stage.open_gate(2)
        assert await job.aresult(timeout=30) == "lease 2"
        process.terminate()
        assert await ends(process) == 0
    passed = [effect[2] for effect in stage.effects if effect[0] == "passed"]
    assert passed == ["2"]
    stored = (await job.arefresh()).job
    # No function ran in the process that died, so none is suspected.
    assert (stored.attempt, stored.crashes) == (2, 0)


async def test_a_killed_worker_leaves_no_process_behind(app: Any, stage: Stage) -> None:
    async with command(stage) as process:
        job = await app.in_process.adelay("gate")
        child = await stage.started()
        assert child != process.pid
        family = stage.inhabitants()
        process.kill()
        await gone(family)
        with pytest.raises(JobDead, match="WorkerLost"):
            await job.aresult(timeout=30)
        assert not stage.inhabitants()


async def test_a_fork_of_the_worker_does_not_pass_for_it(app: Any, stage: Stage) -> None:
    """A copy of the process (multiprocessing makes them) holds all that it had open."""
    async with command(stage) as process:
        job = await app.in_thread.adelay("fork")
        copy = await stage.started(word="forked")
        await stage.started()
        process.kill()
        try:
            with pytest.raises(JobDead, match="WorkerLost"):
                await job.aresult(timeout=5)
        finally:
            os.kill(copy, signal.SIGKILL)


async def test_without_its_heart_the_lease_decides(app: Any, stage: Stage) -> None:
    async with (
        command(stage, "--queues", "default", lease=LEASE) as first,
        command(stage, "--queues", "other", lease=LEASE) as second,
    ):
        job = await app.in_thread.adelay("gate")
        assert parent(await stage.started()) == first.pid
        await (await app.in_thread.aapply_async(["return"], queue="other")).aresult(timeout=30)
        hearts = stage.inhabitants("offload.worker.heart")
        [heart] = [pid for pid in hearts if parent(pid) == first.pid]
        for pid in (heart, first.pid):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(JobDead, match="was silent for"):
            await job.aresult(timeout=30)
        second.terminate()
        assert await ends(second) == 0


async def test_a_heart_that_dies_is_replaced(app: Any, stage: Stage) -> None:
    async with command(stage) as process:
        await (await app.in_thread.adelay("return")).aresult(timeout=30)
        [heart] = stage.inhabitants("offload.worker.heart")
        os.kill(heart, signal.SIGKILL)
        await gone([heart])
        job = await app.in_thread.aapply_async(["gate"], max_retries=1)
        await stage.started()
        while not stage.inhabitants("offload.worker.heart"):
            later = await app.in_thread.aapply_async(["return"], delay=0.2)
            await later.aresult(timeout=30)
        # Only the new one can take this job over before the hour is out.
        process.kill()
        await reached(app.queue, job.id, "pending")


async def test_a_frozen_worker_loses_its_job_and_its_late_report_is_refused(
    app: Any, stage: Stage
) -> None:
    async with command(stage, lease=LEASE) as frozen:
        job = await app.in_thread.aapply_async(["gate"], max_retries=1)
        late = await stage.started()
        assert parent(late) == frozen.pid
        frozen.send_signal(signal.SIGSTOP)
        async with command(stage, lease=LEASE) as other:
            successor = await stage.started()
            assert parent(successor) == other.pid
            frozen.send_signal(signal.SIGCONT)
            stage.open_gate(1)
            # When it ends, it has said all that it had to say.
            frozen.terminate()
            assert await ends(frozen) == 0
            assert (await job.arefresh()).status == "running"
            stage.open_gate(2)
            assert await job.aresult(timeout=30) == "lease 2"
            other.terminate()
            assert await ends(other) == 0
    assert "was taken over by another worker: its end is dropped" in stage.log
    [error] = await app.queue.ajob_errors(job.id)
    assert (error.attempt, error.failure.type) == (1, "WorkerLost")
    # Both runs had their effect, and each says which lease it had it under.
    passed = [effect for effect in stage.effects if effect[0] == "passed"]
    assert [(effect[2], int(effect[3])) for effect in passed] == [
        ("1", late),
        ("2", successor),
    ]


@pytest.mark.parametrize(("executor", "deed"), [("async", "gate"), ("thread", "hog")])
async def test_a_task_that_hogs_its_process_keeps_its_lease(
    app: Any, stage: Stage, executor: str, deed: str
) -> None:
    """For three leases a coroutine holds up the loop, or a thread the interpreter's lock."""
    async with (
        command(stage, "--queues", "default", lease=LEASE) as process,
        command(stage, "--queues", "other", lease=LEASE) as judge,
    ):
        job = await app.TASKS[executor].adelay(deed)
        assert parent(await stage.started()) == process.pid
        await others_go_on(app)
        stored = (await job.arefresh()).job
        assert (str(stored.state), stored.lease) == ("running", 1)
        if deed == "gate":
            stage.open_gate()
            assert await job.aresult(timeout=30) == "lease 1"
        process.kill()
        await reached(app.queue, job.id, "complete" if deed == "gate" else "dead")
        judge.terminate()
        assert await ends(judge) == 0


async def others_go_on(app: Any) -> None:
    """Have the other worker run jobs, and wait for one that is due after three leases."""
    last = await app.in_loop.aapply_async(["return"], queue="other", delay=3 * LEASE)
    while not last.job.is_final:
        job = await app.in_loop.aapply_async(["return"], queue="other")
        assert await job.aresult(timeout=30) == "done"
        await last.arefresh()


async def test_a_task_that_hogs_a_worker_without_a_crew_keeps_its_lease(
    app: Any, stage: Stage
) -> None:
    """Its heart beats for it."""
    program = "from tests.worker.app import queue; queue.run_worker(queues=['default'])"
    async with (
        started(stage, "-c", program, lease=LEASE) as process,
        command(stage, "--queues", "other", lease=LEASE) as judge,
    ):
        job = await app.in_loop.adelay("gate")
        assert await stage.started() == process.pid
        await others_go_on(app)
        stored = (await job.arefresh()).job
        assert (str(stored.state), stored.lease) == ("running", 1)
        stage.open_gate()
        assert await job.aresult(timeout=30) == "lease 1"
        judge.terminate()
        assert await ends(judge) == 0
