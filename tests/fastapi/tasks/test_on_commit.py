"""Request tasks that start when a database session has committed."""

import asyncio
import gc
import signal
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import StaticPool

from offload import ConfigurationError, Queue
from offload.fastapi import RequestTasks, Tasks, get_tasks
from offload.store.base import Channel
from offload.testing.conformance.steps import until
from tests.fastapi.tasks.driving import Drive

READ = text("SELECT 1")


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )

    # The driver's own begin comes too late for savepoints.
    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
async def asession() -> AsyncIterator[AsyncSession]:
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


Endpoint = Callable[[RequestTasks], Awaitable[None]]


@pytest.fixture
def serve(app: FastAPI, drive: Drive) -> Callable[[Endpoint], Awaitable[str]]:
    """Serve one request with an endpoint; return how its one task has ended, and why."""

    async def serve(does: Endpoint) -> str:
        @app.get("/")
        async def endpoint(tasks: Tasks) -> None:
            await does(tasks)

        await drive.get()
        [task] = get_tasks(app).all()
        assert task.mode == "on_commit"
        assert (task.status == "succeeded") == ("task" in drive.events)
        return f"{task.status} {task.reason or ''}".strip()

    return serve


Serve = Callable[[Endpoint], Awaitable[str]]


async def test_d3_a_task_starts_after_the_commit(
    session: Session, serve: Serve, drive: Drive
) -> None:
    async def does(tasks: RequestTasks) -> None:
        session.execute(READ)
        tasks.on_commit(session).schedule(drive.noting("task"))
        await asyncio.sleep(0)
        drive.note("commit")
        session.commit()
        await asyncio.sleep(0)
        drive.note("returns")

    assert await serve(does) == "succeeded"
    assert drive.events[:3] == ["commit", "task", "returns"]


@pytest.mark.parametrize("how", ["rollback", "close", "nothing", "commit of the next"])
async def test_d3_without_the_commit_it_never_runs(
    session: Session, serve: Serve, drive: Drive, how: str
) -> None:
    async def does(tasks: RequestTasks) -> None:
        session.execute(READ)
        tasks.on_commit(session).schedule(drive.noting("task"))
        if how == "rollback":
            session.rollback()
        elif how != "nothing":
            session.close()
        if how == "commit of the next":
            session.execute(READ)
            session.commit()

    said = await serve(does)
    assert said.startswith("dropped")
    assert ("the request ended" if how == "nothing" else "without a commit") in said


@pytest.mark.parametrize("begun", [True, False])
async def test_d3_what_is_scheduled_before_the_transaction_begins_waits_for_it(
    session: Session, serve: Serve, drive: Drive, *, begun: bool
) -> None:
    async def does(tasks: RequestTasks) -> None:
        if begun:
            session.execute(READ)
        tasks.on_commit(session).schedule(drive.noting("task"))
        # A savepoint that began later takes nothing with it.
        savepoint = session.begin_nested()
        savepoint.rollback()
        session.commit()

    assert await serve(does) == "succeeded"


@pytest.mark.parametrize(
    ("inner", "outer"), [("release", "commit"), ("release", "rollback"), ("rollback", "commit")]
)
async def test_d3_savepoints(
    session: Session, serve: Serve, drive: Drive, inner: str, outer: str
) -> None:
    async def does(tasks: RequestTasks) -> None:
        session.execute(READ)
        savepoint = session.begin_nested()
        deepest = session.begin_nested()
        tasks.on_commit(session).schedule(drive.noting("task"))
        deepest.commit()
        savepoint.commit() if inner == "release" else savepoint.rollback()
        await asyncio.sleep(0)
        assert "task" not in drive.events
        session.commit() if outer == "commit" else session.rollback()

    whole = (inner, outer) == ("release", "commit")
    assert (await serve(does)).split()[0] == ("succeeded" if whole else "dropped")


@pytest.mark.parametrize("commits", [True, False])
async def test_d3_an_async_session(
    asession: AsyncSession, serve: Serve, drive: Drive, *, commits: bool
) -> None:
    async def does(tasks: RequestTasks) -> None:
        await asession.execute(READ)
        tasks.on_commit(asession).schedule(drive.noting("task"))
        await (asession.commit() if commits else asession.rollback())

    assert (await serve(does)).split()[0] == ("succeeded" if commits else "dropped")


@pytest.mark.parametrize("scope", ["function", "request"])
@pytest.mark.parametrize("fails", [False, True])
async def test_d3_a_commit_in_the_teardown_of_a_dependency(
    app: FastAPI,
    drive: Drive,
    asession: AsyncSession,
    scope: Literal["function", "request"],
    *,
    fails: bool,
) -> None:
    async def transaction() -> AsyncIterator[AsyncSession]:
        async with asession.begin():
            yield asession
        drive.note("committed")

    @app.get("/")
    async def endpoint(
        db: Annotated[AsyncSession, Depends(transaction, scope=scope)], tasks: Tasks
    ) -> None:
        tasks.on_commit(db).schedule(drive.noting("task"))
        if fails:
            raise ValueError

    await drive.get()
    [task] = get_tasks(app).all()
    if fails:
        assert task.status == "dropped"
        return
    assert task.status == "succeeded"
    assert drive.before("start 200", "committed") == (scope == "request")
    assert drive.before("task", "start 200") == (scope == "function")


async def test_d3_a_session_in_a_thread(
    app: FastAPI, drive: Drive, session: Session, tmp_path: Path
) -> None:
    @app.get("/")
    def endpoint(tasks: Tasks) -> None:
        session.execute(READ)
        tasks.on_commit(session).schedule(drive.noting("task"))
        session.commit()

    await drive.get()
    assert drive.before("task", "start 200")


async def test_d3_a_scoped_session(app: FastAPI, drive: Drive, session: Session) -> None:
    scoped = scoped_session(sessionmaker(session.get_bind()))

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.on_commit(scoped).schedule(drive.noting("task"))
        scoped.execute(READ)
        scoped.commit()

    await drive.get()
    scoped.remove()
    assert "task" in drive.events


@pytest.mark.parametrize("commits", [True, False])
async def test_d3_a_queue_task_is_a_job_if_and_only_if_it_commits(
    app: FastAPI, drive: Drive, session: Session, tmp_path: Path, *, commits: bool
) -> None:
    queue = Queue(str(tmp_path / "jobs.db"))

    @queue.task
    def work() -> None: ...

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        session.execute(READ)
        tasks.on_commit(session).schedule(work)
        assert await queue.alist_jobs() == []
        session.commit() if commits else session.rollback()

    await drive.get()
    [task] = get_tasks(app).all()
    assert task.status == ("enqueued" if commits else "dropped")
    assert len(await queue.alist_jobs()) == int(commits)
    await queue.aclose()


async def test_d3_with_an_outbox_the_commit_brings_the_job_along(
    app: FastAPI, drive: Drive, asession: AsyncSession, tmp_path: Path
) -> None:
    """Once: what the outbox has is the job that the task enqueues."""
    queue = Queue(str(tmp_path / "jobs.db"))
    queue.outbox(asession.bind)
    there: list[int] = []

    @queue.task
    def work() -> None: ...

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        await asession.execute(READ)
        async with asession.begin_nested() as savepoint:
            tasks.on_commit(asession).schedule(work)
            await savepoint.rollback()
        tasks.on_commit(asession).task(key="k").schedule(work)
        await asession.commit()
        rows = await asession.execute(text("SELECT count(*) FROM offload_outbox"))
        there.extend(rows.scalars())

    await drive.get()
    task, dropped = get_tasks(app).all()
    assert (dropped.status, task.status, there) == ("dropped", "enqueued", [1])
    [job] = await queue.alist_jobs()
    assert job.id == task.job_id
    await queue.aclose()


async def test_d3_a_kill_right_after_the_commit_loses_no_job(tmp_path: Path) -> None:
    script = Path(__file__).with_name("dies_at_commit.py")
    files = [str(tmp_path / "jobs.db"), str(tmp_path / "app.db")]
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), *files)
    assert await process.wait() == -signal.SIGKILL
    queue = Queue(db_path=files[0])
    assert await queue.alist_jobs() == []
    engine = create_engine(f"sqlite:///{files[1]}")
    queue.outbox(engine)
    await queue.aopen()  # a process that comes next relays what it finds

    async def has_come() -> bool:
        return bool(await queue.alist_jobs())

    await until(queue.store, Channel.READY, has_come)
    jobs = await queue.alist_jobs()
    assert [job.task_name for job in jobs] == ["work"]
    await queue.aclose()
    engine.dispose()


async def test_d3_without_a_session_it_is_refused(serve: Serve, app: FastAPI) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        with pytest.raises(ConfigurationError, match="Session or an AsyncSession"):
            tasks.on_commit(object())

    assert (await Drive(app).get()).status == 200


async def test_d3_wait_is_refused(app: FastAPI, drive: Drive, session: Session) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        with pytest.raises(ConfigurationError, match="after_route"):
            tasks.on_commit(session).task(wait=True).schedule(drive.noting("never"))

    assert (await drive.get()).status == 200


async def test_a_session_that_lives_longer_keeps_nothing_of_a_request(
    app: FastAPI, drive: Drive, session: Session
) -> None:
    seen: list[weakref.ref[Any]] = []

    class Large:
        pass

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        large = Large()
        seen.append(weakref.ref(large))
        tasks.on_commit(session).schedule(drive.noting("task"), large)
        session.execute(READ)
        session.commit()
        tasks.on_commit(session).schedule(drive.noting("never"), large)

    for _ in range(3):
        await drive.get()
    session.commit()
    await asyncio.sleep(0)
    gc.collect()
    assert [ref() for ref in seen] == [None] * 3
    assert list(session.dispatch.after_commit) == []
    assert drive.events.count("task") == 3
    assert "never" not in drive.events


async def test_d3_t5_a_task_that_outlives_its_request_may_have_a_session_too(
    app: FastAPI, drive: Drive, session: Session
) -> None:
    given: list[RequestTasks] = []

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        given.append(tasks)

    async with drive.living():
        await drive.get()
        task = given[0].on_commit(session).schedule(drive.noting("task"))
        session.execute(READ)
        session.commit()
        assert await task.wait(10) == "succeeded"
