"""Processes that may not use all that there is: real memory, real processor time, no network."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from socket import socket
from typing import Any

import pytest

from offload import ConfigurationError, JobDead, JobFailed, Limits, Queue
from offload.store.base import RecordFilter
from offload.worker.confine import environment
from tests.worker.staging import ROOT, Stage, read, working


@pytest.mark.parametrize(
    ("given", "size"),
    [(1_000_000, 10**6), ("512 MB", 512 * 10**6), ("2GiB", 2**31), ("1.5 kib", 1536)],
)
def test_memory_is_read(given: int | str, size: int) -> None:
    assert Limits(memory=given).most_bytes == size


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": 0},
        {"memory": -1},
        {"memory": True},
        {"memory": "much"},
        {"memory": "5 TB"},
        {"memory": 1.5},
        {"cpu": 0},
        {"cpu": float("inf")},
        {"env": "PATH"},
    ],
)
def test_wrong_limits_are_refused_where_they_are_written(wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(ConfigurationError, match=f"{name}="):
        Limits(**wrong)


@pytest.mark.parametrize("executor", [None, "thread"])
async def test_only_a_process_can_be_limited(queue: Queue, executor: str | None) -> None:
    with pytest.raises(ConfigurationError, match="executor='process'"):

        @queue.task(executor=executor, limits=Limits(cpu=1))
        def task() -> None: ...


@pytest.fixture
async def worker(app: Any, stage: Stage) -> AsyncIterator[Any]:
    async with working(app.queue, concurrency=2) as work:
        yield app
        assert not work.task.done()


async def why_dead(job: Any) -> str:
    with pytest.raises(JobDead) as caught:
        await job.aresult(timeout=30)
    return caught.value.reason


async def test_a_memory_bomb_ends_its_attempt_only(worker: Any) -> None:
    job = await worker.in_little.adelay("fill")
    assert await why_dead(job) == "LimitExceeded: used more than 300 MB of memory"
    [error] = await worker.queue.ajob_errors(job.id)
    assert "in fill" in error.failure.traceback
    after = await worker.in_little.adelay("fill a little")
    assert await after.aresult(timeout=30) == 1_000_000


async def test_who_is_allowed_less_than_the_interpreter_needs_is_told(worker: Any) -> None:
    job = await worker.in_nothing.adelay("return")
    reason = await why_dead(job)
    assert re.fullmatch(r"LimitExceeded: memory=1 MB is less than the \d+ MB that .*", reason)


async def test_a_loop_is_stopped_after_its_processor_time(worker: Any) -> None:
    job = await worker.in_haste.adelay("burn")
    assert await why_dead(job) == "LimitExceeded: used more than 0.5 s of CPU"


async def test_a_loop_that_is_not_python_is_killed(worker: Any) -> None:
    job = await worker.in_haste.adelay("burn deaf")
    reason = await why_dead(job)
    assert reason == "LimitExceeded: used more than 0.5 s of CPU, and did not stop"
    assert (await job.arefresh()).job.crashes == 0


async def test_processor_time_is_counted_for_each_job_and_waiting_is_free(worker: Any) -> None:
    for deed, said in [("burn a little", "burnt")] * 3 + [("rest", "rested")]:
        job = await worker.in_haste.adelay(deed)
        assert await job.aresult(timeout=30) == said


async def test_without_a_network_nothing_can_be_reached(worker: Any, stage: Stage) -> None:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        (stage.folder / "port").write_text(str(listener.getsockname()[1]))
        job = await worker.in_process.adelay("call home")
        assert await job.aresult(timeout=30) == "connected"
        lonely = await worker.in_cell.adelay("call home")
        assert (await why_dead(lonely)).startswith("OSError: [Errno 101]")
        # The process that has no network is not used for those that may have it.
        again = await worker.in_process.adelay("call home")
        assert await again.aresult(timeout=30) == "connected"


REFUSED = """
import ctypes, pathlib
from offload import LimitExceeded
from offload.worker import confine
assert ctypes.CDLL(None).unshare(confine.CLONE_NEWUSER) == 0
pathlib.Path("/proc/sys/user/max_net_namespaces").write_text("0")
try:
    confine.leave_network()
except LimitExceeded as error:
    print(error)
"""


def test_a_kernel_that_refuses_is_an_error_that_tells_the_way_out() -> None:
    command = [sys.executable, "-c", REFUSED]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith("network=False is refused by the kernel (Operation not permitted): ")
    assert "user.max_user_namespaces" in said


async def test_a_limited_process_knows_nothing_secret(
    app: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/db")
    monkeypatch.setenv("OFFLOAD_URL", "sqlite:///jobs.db")
    async with working(app.queue):
        free = await (await app.in_process.adelay("environment")).aresult(timeout=30)
        limited = await (await app.in_little.adelay("environment")).aresult(timeout=30)
    assert "DATABASE_URL" in free
    assert not {"DATABASE_URL", "OFFLOAD_URL"} & set(limited)
    assert {"PATH", "OFFLOAD_TEST_FOLDER"} <= set(limited)


def test_what_is_let_through_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "REGION", "LC_ALL", "PYTHONPATH", "TZ"):
        monkeypatch.setenv(name, "x")
    assert environment(None) is None
    some = environment(Limits(env=["REGION"])) or {}
    assert {"REGION", "LC_ALL", "PYTHONPATH", "TZ"} <= set(some)
    assert "TOKEN" not in some


async def test_processes_are_shared_by_tasks_of_the_same_limits_only(
    worker: Any, stage: Stage
) -> None:
    async def process(task: Any) -> int:
        pid: int = (await (await task.adelay("describe")).aresult(timeout=30))["pid"]
        return pid

    little = await process(worker.in_little)
    free = await process(worker.in_process)
    assert await process(worker.in_little) != free
    assert await process(worker.in_process) != little
    # They run one at a time: more than one process is never kept.
    assert len(stage.inhabitants("offload.worker.child")) == 1


async def test_the_memory_of_a_run_is_its_own(worker: Any) -> None:
    """A warm process has held more before: that is not counted again."""
    for deed in ("huge", "return"):
        job = await worker.in_process.adelay(deed)
        if deed == "huge":
            with pytest.raises(JobFailed):
                await job.aresult(timeout=60)
        else:
            await job.aresult(timeout=60)
    huge, small = await metrics(worker.queue)
    assert huge.memory > 1_000_000_000
    assert 1_000_000 < small.memory < 500_000_000
    assert 0 <= small.ran < huge.ran


async def metrics(queue: Queue) -> list[Any]:
    return await read(queue, lambda store: store.metrics(RecordFilter()))


async def test_memory_is_not_told_of_threads(worker: Any) -> None:
    await (await worker.in_thread.adelay("return")).aresult(timeout=30)
    [metric] = await metrics(worker.queue)
    assert metric.memory is None
    assert metric.ran >= 0
