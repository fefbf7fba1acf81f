"""What a web process starts and ends for a queue."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from offload.fastapi import QueueRouter, lifespan
from tests.fastapi.serving import Site, client_of, events, until


def test_the_worker_runs_async_tasks_on_the_loop_of_the_application(site: Site) -> None:
    loops = []

    @contextlib.asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[None]:
        loops.append(asyncio.get_running_loop())
        async with lifespan(site.queue, worker=True)(app):
            yield

    @site.queue.task
    async def note() -> str:
        loops.append(asyncio.get_running_loop())
        return "noted"

    app = FastAPI(lifespan=own)
    app.include_router(QueueRouter(site.queue), prefix="/tasks")
    with client_of(app):
        assert note.delay().result(timeout=20) == "noted"
    assert loops[0] is loops[1]


def test_a_running_job_is_finished_before_the_queue_is_closed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = site.queue.arun_worker

    async def until_asked(stop: asyncio.Event, **options: Any) -> None:
        working = asyncio.create_task(work(stop, **options))
        await stop.wait()
        site.commands.put(None)  # the job may end only now that the worker is to stop
        await working

    monkeypatch.setattr(site.queue, "arun_worker", until_asked)
    with client_of(site.app(worker=True)) as client:
        job = site.work.delay()
        with client.stream("GET", f"/jobs/{job.id}/progress") as response:
            until(events(response), lambda event: event.status == "running")
    assert job.refresh().status == "complete"


async def test_the_queue_is_opened_and_closed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("open", "close"):
        monkeypatch.setattr(site.queue.store, name, noting(calls, name, site))
    async with lifespan(site.queue)(None):
        assert calls == ["open"]
    assert calls == ["open", "close"]


def noting(calls: list[str], name: str, site: Site) -> object:
    original = getattr(site.queue.store, name)

    async def noted() -> None:
        calls.append(name)
        await original()

    return noted


# ------------------------------------------------------------------------ when it goes wrong


def test_a_worker_that_dies_is_logged_and_shown_and_the_site_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def dying(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(site.queue, "arun_worker", dying)
    with site.client(worker=True, operator=True) as client:
        ready = client.get("/readiness")
        assert client.get("/stats").status_code == 200
    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    assert ready.json()["checks"]["embedded_worker"] == "failed"
    [record] = [record for record in caplog.records if record.name == "offload.fastapi"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "out of luck"
    # The next start begins anew.
    monkeypatch.undo()
    with site.client(worker=True, operator=True) as client:
        site.ended().result(timeout=20)
        assert client.get("/readiness").json()["status"] == "ready"


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_worker_that_does_not_end_does_not_hold_the_server(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stubborn: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    monkeypatch.setattr(sys.modules["offload.fastapi.process"], "DRAIN_MARGIN", 0.01)
    enough = asyncio.Event()

    async def endless(*_: object, **__: object) -> None:
        while not enough.is_set():
            try:
                await enough.wait()
            except asyncio.CancelledError:
                if not stubborn:
                    raise

    monkeypatch.setattr(site.queue, "arun_worker", endless)
    async with lifespan(site.queue, worker=True, grace=0)(None):
        await asyncio.sleep(0)
    assert "did not drain" in caplog.text
    enough.set()


async def test_an_application_that_fails_to_start_leaves_nothing_running(site: Site) -> None:
    with pytest.raises(ZeroDivisionError):
        async with lifespan(site.queue, worker=True)(None):
            1 / 0  # noqa: B018 - it only has to fail
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert "offload worker" not in names
