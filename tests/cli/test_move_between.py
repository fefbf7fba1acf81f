"""From any store into any other one: the same jobs, run by a worker of the new place."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from offload import JobError, Queue
from tests.cli.terminal import Terminal

PLACES = ("sqlite", "postgresql", "redis")


@pytest.fixture
def urls(tmp_path: Path, postgres_url: str, redis_url: str) -> dict[str, str]:
    return {
        "sqlite": f"sqlite:///{tmp_path / 'old.db'}",
        "postgresql": postgres_url,
        "redis": redis_url,
    }


@pytest.mark.parametrize("to", PLACES)
@pytest.mark.parametrize("source", PLACES)
def test_every_store_moves_into_every_other(
    terminal: Terminal, urls: dict[str, str], source: str, to: str, tmp_path: Path
) -> None:
    target = f"sqlite:///{tmp_path / 'new.db'}" if source == to == "sqlite" else urls[to]
    if source == to != "sqlite":
        target += "_moved"
    old, new = Queue(urls[source]), Queue(target)

    def add(x: int, y: int) -> int:
        return x + y

    def fail() -> None:
        raise ValueError("no")

    for queue in (old, new):
        queue.task(name="add")(add)
        queue.task(name="fail", max_retries=0)(fail)
    done, dead = old.tasks.get("add").delay(1, 2), old.tasks.get("fail").delay()
    asyncio.run(_work(old, [done.id, dead.id]))
    jobs = old.tasks.get("add").map([(n, n) for n in range(600)])
    last = old.tasks.get("add").apply_async(args=(1, 1), depends_on=[jobs[0], jobs[599]])
    words = ("move", "--from", urls[source], "--to", target)
    assert terminal(*words, "--dry-run").code == 0
    moved = terminal(*words)
    assert moved.lines == ["moved 603 jobs, 1 dead letters and 0 schedules; nothing is left"]
    assert sum(old.stats().values()) == 0
    asyncio.run(_work(new, [last.id, jobs[300].id]))
    assert [_result(new, job.id) for job in (done, last, jobs[300])] == [3, 2, 600]
    assert [letter.id for letter in new.dead_letters()] == [dead.id]
    old.close()
    new.close()


def _result(queue: Queue, job_id: str) -> object:
    job = queue.get_job(job_id)
    assert job is not None
    return job.result(timeout=30)


async def _work(queue: Queue, job_ids: list[str]) -> None:
    """Run a worker until these jobs have ended."""
    stop = asyncio.Event()
    worker = asyncio.create_task(queue.arun_worker(stop, install_signals=False))
    for job_id in job_ids:
        job = await queue.aget_job(job_id)
        assert job is not None
        with contextlib.suppress(JobError):
            await job.aresult(timeout=30)
    stop.set()
    await worker
