"""Processes of isolated functions are forked from one that has imported what they need."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from offload import Limits, ProcessDied, isolated
from tests.worker.staging import Stage, gone, is_template, parent
from tests.worker.threaded import parent as parent_there


async def test_processes_share_what_one_has_imported(app: Any, stage: Stage) -> None:
    calls = [isolated(app.alone, "wait outside", limits=app.ANYTHING) for _ in range(2)]
    both = asyncio.gather(*calls)
    pids = {await stage.started() for _ in calls}
    [template] = {parent(pid) for pid in pids}
    assert is_template(template)
    assert parent(template) == os.getpid()
    stage.open_gate(runs=2)
    assert set(await both) == pids


async def test_a_module_that_starts_threads_is_not_forked() -> None:
    assert await isolated(parent_there) == os.getpid()


async def test_a_template_that_dies_takes_its_processes_along_and_is_replaced(
    app: Any, stage: Stage
) -> None:
    call = asyncio.create_task(isolated(app.alone, "wait outside", limits=app.ANYTHING))
    pid = await stage.started()
    template = parent(pid)
    os.kill(template, signal.SIGKILL)
    with pytest.raises(ProcessDied, match="signal 9"):
        await call
    await gone([pid, template])
    again = await isolated(app.alone, "process", limits=app.ANYTHING)
    assert parent(again) != template


async def test_one_that_dies_while_nobody_uses_it_costs_nothing(app: Any) -> None:
    pid = await isolated(app.alone, "process", limits=app.ANYTHING)
    template = parent(pid)
    os.kill(template, signal.SIGKILL)
    await gone([pid, template])
    again = await isolated(app.alone, "process", limits=app.ANYTHING)
    assert again != pid


async def test_one_without_processes_is_ended(
    app: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offload.worker.isolated.IDLE", 0.01)
    call = asyncio.create_task(isolated(app.alone, "wait outside", limits=app.ANYTHING))
    template = parent(await stage.started())
    stage.open_gate()
    await call
    await gone([template])
    assert await isolated(app.alone, "return", limits=app.ANYTHING) == "done"


async def test_nothing_is_imported_with_a_network_that_the_function_may_not_have(app: Any) -> None:
    cell = Limits(network=False, env=app.FROM_TEST)
    pid = await isolated(app.alone, "process", limits=cell)
    networks = {network(one) for one in (pid, parent(pid), os.getpid())}
    assert len(networks) == len(("its own", "that of the template", "ours"))


def network(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


async def test_no_template_outlives_its_loop(app: Any) -> None:
    async def program() -> int:
        return parent(await isolated(app.alone, "process", limits=app.ANYTHING))

    await gone([await asyncio.to_thread(lambda: asyncio.run(program()))])
