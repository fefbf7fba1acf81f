"""Functions that are isolated: in a process that may be killed, for any coroutine."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import date
from socket import socket
from typing import Any

import pytest

from offload import (
    ArgumentError,
    ConfigurationError,
    IsolatedError,
    LimitExceeded,
    Limits,
    ProcessDied,
    TaskDefinitionError,
    isolated,
)
from offload.worker.isolated import MOST
from tests.worker.staging import Stage, command, gone, logs_of, parts_of, reached, working


@pytest.fixture(params=["embedded", "command"])
async def somewhere(app: Any, stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """The application with a worker: on this loop, or as the command with its members."""
    if request.param == "embedded":
        async with working(app.queue):
            yield app
    else:
        async with command(stage):
            yield app


async def test_values_travel_as_those_of_jobs_do(app: Any) -> None:
    day = date(2026, 11, 21)
    made = await isolated(app.reversed_words, ("a", "b"), day, limits=app.ANYTHING)
    assert made == {day: ("b", "a")}


@pytest.mark.parametrize("wrong", [("no tuple", date(2026, 1, 1)), ((),)])
async def test_arguments_that_do_not_fit_start_nothing(
    app: Any, stage: Stage, wrong: tuple[object, ...]
) -> None:
    with pytest.raises(ArgumentError):
        await isolated(app.reversed_words, *wrong, limits=app.ANYTHING)
    assert not stage.inhabitants()


async def test_what_no_process_could_import_is_refused(app: Any) -> None:
    def local() -> None: ...

    for function in (local, app.aloof):
        with pytest.raises(TaskDefinitionError):
            await isolated(function)
    with pytest.raises(ConfigurationError, match="timeout=0"):
        await isolated(app.alone, "return", timeout=0)


async def test_as_many_run_at_once_as_there_are_places_and_processes_stay_warm(
    app: Any, stage: Stage
) -> None:
    waiting = [isolated(app.alone, "wait outside", limits=app.ANYTHING) for _ in range(MOST + 2)]
    calls = asyncio.gather(*waiting)
    pids = {await stage.started() for _ in range(MOST)}
    assert len(pids) == MOST
    stage.open_gate()
    assert await stage.started() in pids
    assert stage.inhabitants() == pids
    stage.open_gate(runs=MOST + 1)
    assert set(await calls) == pids


async def test_a_process_that_is_soon_free_is_waited_for(
    app: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offload.worker.isolated.PATIENCE", 30)
    first = asyncio.create_task(isolated(app.alone, "wait outside", limits=app.ANYTHING))
    pid = await stage.started()
    second = asyncio.create_task(isolated(app.alone, "process", limits=app.ANYTHING))
    await asyncio.sleep(0)  # it waits
    stage.open_gate()
    assert await first == await second == pid
    assert stage.inhabitants() == {pid}


async def test_what_takes_long_is_not_waited_for(app: Any, stage: Stage) -> None:
    calls = [
        asyncio.create_task(isolated(app.alone, "wait outside", limits=app.ANYTHING))
        for _ in range(2)
    ]
    pids = {await stage.started(), await stage.started()}
    stage.open_gate(runs=2)
    assert set(await asyncio.gather(*calls)) == pids
    assert len(pids) == len(calls)


async def test_calls_at_once_share_what_the_first_has_started(
    app: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offload.worker.isolated.PATIENCE", 30)
    calls = (isolated(app.alone, "process", limits=app.ANYTHING) for _ in range(4))
    assert len(set(await asyncio.gather(*calls))) == 1
    assert len(stage.inhabitants()) == 1


async def test_a_function_comes_back_to_the_process_that_has_run_it(app: Any, stage: Stage) -> None:
    call = asyncio.create_task(isolated(app.alone, "wait outside", limits=app.ANYTHING))
    pid = await stage.started()
    for _ in range(2):
        await isolated(app.reversed_words, (), date(2026, 1, 1), limits=app.ANYTHING)
    stage.open_gate()
    assert await call == pid
    await isolated(app.reversed_words, (), date(2026, 1, 1), limits=app.ANYTHING)
    assert len(stage.inhabitants()) == len(("the one", "and the other"))
    assert await isolated(app.alone, "process", limits=app.ANYTHING) == pid


async def test_a_process_that_nobody_uses_is_ended(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offload.worker.isolated.IDLE", 0.01)
    await gone([await isolated(app.alone, "process", limits=app.ANYTHING)])
    assert await isolated(app.alone, "return", limits=app.ANYTHING) == "done"


async def test_a_task_can_be_isolated_by_its_function(app: Any) -> None:
    pid = await isolated(app.in_cell.function, "process", limits=app.ANYTHING)
    assert pid != os.getpid()


async def test_whoever_is_cancelled_has_its_process_killed(app: Any, stage: Stage) -> None:
    call = asyncio.create_task(isolated(app.alone, "wait outside", limits=app.ANYTHING))
    pid = await stage.started()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await gone([pid])
    assert await isolated(app.alone, "return", limits=app.ANYTHING) == "done"


async def test_whoever_is_cancelled_while_its_process_starts_leaves_none(
    app: Any, stage: Stage
) -> None:
    call = asyncio.create_task(isolated(app.alone, "wait outside", limits=app.ANYTHING))
    await asyncio.sleep(0)  # it has taken its place, and is about to start a process
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await gone(stage.inhabitants())


async def test_time_that_is_up_kills(app: Any, stage: Stage) -> None:
    call = isolated(app.alone, "wait outside", limits=app.ANYTHING, timeout=1)
    with pytest.raises(TimeoutError, match="alone ran longer than its timeout of 1 s"):
        await call
    await gone([await stage.started()])


@pytest.mark.parametrize(
    ("deed", "limits", "reason"),
    [
        ("fill", Limits(memory="300 MB"), "used more than 300 MB of memory"),
        ("burn", Limits(cpu=0.3), "used more than 0.3 s of CPU"),
        ("burn deaf", Limits(cpu=0.3), "used more than 0.3 s of CPU, and did not stop"),
    ],
)
async def test_limits_hold(app: Any, deed: str, limits: Limits, reason: str) -> None:
    here = Limits(limits.memory, limits.cpu, env=app.FROM_TEST)
    with pytest.raises(LimitExceeded) as caught:
        await isolated(app.alone, deed, limits=here)
    assert str(caught.value) == reason


async def test_limits_that_cannot_be_kept_are_no_fault_of_the_function(app: Any) -> None:
    with pytest.raises(ConfigurationError, match="memory=1 MB is less than the"):
        await isolated(app.alone, "return", limits=Limits(1_000_000, env=app.FROM_TEST))


async def test_without_a_network_nothing_can_be_reached(app: Any, stage: Stage) -> None:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        (stage.folder / "port").write_text(str(listener.getsockname()[1]))
        assert await isolated(app.alone, "call home", limits=app.ANYTHING) == "connected"
        cell = Limits(network=False, env=app.FROM_TEST)
        with pytest.raises(IsolatedError, match="Errno 101"):
            await isolated(app.alone, "call home", limits=cell)


async def test_the_environment_is_bare_whatever_the_limits(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/db")
    known = await isolated(app.alone, "environment", limits=app.ANYTHING)
    assert "OFFLOAD_TEST_FOLDER" in known
    assert "DATABASE_URL" not in known
    with pytest.raises(IsolatedError, match="KeyError: 'OFFLOAD_TEST_FOLDER'"):
        await isolated(app.alone, "environment")


async def test_an_error_is_told_with_its_place(app: Any) -> None:
    with pytest.raises(IsolatedError, match="ValueError: boom") as caught:
        await isolated(app.alone, "boom", limits=app.ANYTHING)
    assert (caught.value.kind, caught.value.reason) == ("ValueError", "boom")
    assert "in alone" in (caught.value.traceback or "")


@pytest.mark.parametrize(
    ("deed", "how"), [("die", "exit code 7"), ("kill", "signal 9"), ("segfault", "signal 11")]
)
async def test_a_process_that_dies_is_an_error_of_this_call_only(
    app: Any, stage: Stage, deed: str, how: str
) -> None:
    neighbour = asyncio.create_task(isolated(app.alone, "wait outside", limits=app.ANYTHING))
    pid = await stage.started()
    with pytest.raises(ProcessDied, match=f"ended with {how} .* limits: none"):
        await isolated(app.alone, deed, limits=app.ANYTHING)
    stage.open_gate()
    assert await neighbour == pid


async def test_a_process_that_dies_while_it_waits_costs_nothing(app: Any) -> None:
    pid = await isolated(app.alone, "process", limits=app.ANYTHING)
    os.kill(pid, signal.SIGKILL)
    await gone([pid])
    assert await isolated(app.alone, "process", limits=app.ANYTHING) != pid


async def test_without_a_job_there_is_none_in_the_process(app: Any) -> None:
    async with working(app.queue):
        job = await app.in_isolation.adelay("name")
        assert await job.aresult(timeout=30) == job.id
        with pytest.raises(IsolatedError, match="NoCurrentJob"):
            await isolated(app.alone, "name", limits=app.ANYTHING)


async def test_no_process_outlives_its_loop(app: Any, stage: Stage) -> None:
    async def program() -> int:
        pid: int = await isolated(app.alone, "process", limits=app.ANYTHING)
        assert pid in stage.inhabitants()
        return pid

    pid = await asyncio.to_thread(lambda: asyncio.run(program()))
    assert pid not in stage.inhabitants()


async def test_in_a_task_all_that_the_function_says_is_of_the_job(somewhere: Any) -> None:
    job = await somewhere.in_isolation.adelay("tell")
    assert await job.aresult(timeout=30) is None
    assert len(await parts_of(somewhere.queue, job.id)) == 10_000
    assert (await logs_of(somewhere.queue, job.id))[0].message == "line 0"
    assert (await job.arefresh()).message == "all told"


async def test_a_cancelled_job_has_its_process_killed(somewhere: Any, stage: Stage) -> None:
    job = await somewhere.in_isolation.adelay("wait outside")
    pid = await stage.started()
    assert await somewhere.queue.acancel_running_job(job.id)
    await reached(somewhere.queue, job.id, "cancelled")
    await gone([pid])
    after = await somewhere.in_isolation.adelay("return")
    assert await after.aresult(timeout=30) == "done"
