"""What a queue opens when, and what it lets go of."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from offload import OffloadError, Queue, StoreError
from offload.client.watcher import Subscription, Watcher
from offload.store.loop import IOLoop
from tests.worker.staging import working


@pytest.fixture
def url(path: Path) -> str:
    """Only the file: in memory there is nothing to open, and nobody to share it with."""
    return str(path)


NAMES = {"offload-io", "offload-writer"}


def threads() -> list[str]:
    """Return the names of our threads."""
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("offload"))


def test_nothing_is_opened_until_it_is_needed(tmp_path: Path) -> None:
    before = threads()
    folder = tmp_path / "folder" / "below"
    queue = Queue(db_path=folder / "jobs.db")

    @queue.task
    def work(x: int) -> int:
        return x

    work.new_job((1,), {})
    assert work(1) == 1
    assert threads() == before
    assert not folder.exists()
    work.delay(1)
    assert (folder / "jobs.db").exists()
    assert set(threads()) >= NAMES
    queue.close()
    assert threads() == before


def test_a_queue_that_was_never_used_is_closed_without_ado(tmp_path: Path) -> None:
    Queue(db_path=tmp_path / "jobs.db").close()


def test_the_default_file_is_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    queue = Queue()
    assert not (tmp_path / ".offload").exists()
    queue.stats()
    queue.close()
    assert (tmp_path / ".offload" / "offload.db").exists()


def test_a_path_is_taken_in_either_place(tmp_path: Path) -> None:
    place: Any = tmp_path / "jobs.db"
    assert Queue(place).url == Queue(db_path=place).url == str(place)


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite:////{}", "{}"])
def test_forms_of_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = form.count("/") == 4
    name = str(tmp_path / "jobs.db").removeprefix("/") if absolute else "jobs.db"
    queue = Queue(form.format(name))
    queue.stats()
    queue.close()
    assert (tmp_path / "jobs.db").exists()


def test_a_closed_queue_opens_again(queue: Queue) -> None:
    @queue.task
    def work() -> None: ...

    ids = []
    for _ in range(3):
        ids.append(work.delay().id)
        queue.close()
        queue.close()
    assert [job.id for job in queue.list_jobs()] == ids[::-1]


async def test_a_worker_runs_again_after_a_close(queue: Queue) -> None:
    @queue.task
    def work() -> str:
        return "done"

    for _ in range(2):
        async with working(queue):
            assert await (await work.adelay()).aresult(timeout=30) == "done"
        await queue.aclose()


def test_who_waits_for_a_result_is_not_left_hanging_by_a_close(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[BaseException] = []
    waiting = threading.Event()
    real = Watcher.subscribe

    async def subscribe(watcher: Watcher, job_id: str, *, anew: bool = False) -> Subscription:
        subscription = await real(watcher, job_id, anew=anew)
        waiting.set()
        return subscription

    monkeypatch.setattr(Watcher, "subscribe", subscribe)

    @queue.task
    def work() -> None: ...

    job = work.delay()

    def result() -> None:
        try:
            job.result()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is an answer
            ended.append(error)

    waiter = threading.Thread(target=result, daemon=True)
    waiter.start()
    assert waiting.wait(30)
    queue.close()
    waiter.join(5)
    assert not waiter.is_alive()
    assert len(ended) == 1


async def test_synchronous_methods_work_inside_a_running_loop(queue: Queue) -> None:
    @queue.task
    def work() -> str:
        return "done"

    job = work.delay()
    assert queue.get_job(job.id) is not None
    assert (queue.stats()["pending"], len(queue.list_jobs()), job.refresh().status) == (
        1, 1, "pending",
    )  # fmt: skip
    with pytest.raises(TimeoutError):
        job.result(timeout=0)
    assert queue.cancel_job(job.id)


async def test_one_queue_serves_many_loops(queue: Queue) -> None:
    @queue.task
    def work(n: int) -> int:
        return n

    async def call(n: int) -> int:
        return await (await work.adelay(n)).aresult(timeout=30)

    async with working(queue):
        calls = [asyncio.to_thread(asyncio.run, call(n)) for n in range(4)]
        assert await asyncio.gather(*calls) == [0, 1, 2, 3]


def test_a_synchronous_call_on_the_queues_own_loop_is_refused() -> None:
    """It would wait for itself for ever."""
    loop = IOLoop()

    async def nothing() -> None: ...

    async def inside() -> None:
        loop.drive(nothing())

    with pytest.raises(OffloadError, match="await its a-twin"):
        loop.run(inside())
    loop.stop()


def test_the_queues_file_is_not_for_another_sqlite(queue: Queue, path: Path) -> None:
    queue.stats()
    with pytest.raises(StoreError, match=r"same process can corrupt it\. Use apsw"):
        sqlite3.connect(path)
    sqlite3.connect(path.with_name("other.db")).close()


START = """
import sys
from offload import Queue
queue = Queue(db_path=sys.argv[1])
@queue.task(name="work")
def work(): ...
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
work.delay()
queue.close()
"""


def test_processes_that_start_at_once_on_a_new_file_agree(tmp_path: Path) -> None:
    """The web server and its worker do just that on the first day."""
    for round_ in range(1):
        path = tmp_path / f"{round_}.db"
        command = [sys.executable, "-c", START, str(path)]
        pipes: dict[str, Any] = {"stdin": -1, "stdout": -1, "stderr": -1, "text": True}
        processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=30)[1] for process in processes]
        assert errors == [""] * 4
        queue = Queue(db_path=str(path))
        assert queue.stats()["pending"] == 4
        queue.close()


def test_queues_in_one_process_that_open_a_new_file_at_once_agree(tmp_path: Path) -> None:
    for round_ in range(20):
        path = str(tmp_path / f"{round_}.db")
        queues = [Queue(db_path=path) for _ in range(6)]
        start = threading.Barrier(6)
        failed: list[BaseException] = []

        def opening(queue: Queue, start: threading.Barrier = start) -> None:
            start.wait(30)
            try:
                queue.stats()
            except StoreError as error:
                failed.append(error)  # noqa: B023 - all of this round
            queue.close()

        openers = [threading.Thread(target=opening, args=(queue,)) for queue in queues]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join(30)
        assert failed == []


def test_callers_that_meet_at_the_first_call_open_it_once(queue: Queue, path: Path) -> None:
    start = threading.Barrier(8)

    def call() -> None:
        start.wait(30)
        queue.stats()

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert [name for name in threads() if name == "offload-writer"] == ["offload-writer"]
    bells = path.with_name(path.name + "-bells")
    mine = [bell for bell in bells.iterdir() if bell.name.startswith(f"{os.getpid()}-")]
    assert len(mine) == 1
