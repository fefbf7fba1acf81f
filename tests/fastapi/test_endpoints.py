"""Every route of seed 001: its keys, its statuses, its errors."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from offload import Abort, JobHandle, Queue, StoreUnavailable
from offload.core.job import Job
from offload.fastapi import QueueRouter, lifespan
from tests.fastapi.serving import Site, client_of, events, until

JOB_KEYS = {
    "id",
    "queue",
    "task_name",
    "status",
    "priority",
    "progress",
    "retry_count",
    "max_retries",
    "created_at",
    "scheduled_at",
    "started_at",
    "completed_at",
    "error",
    "timeout_ms",
    "unique_key",
    "metadata",
}


def running(client: httpx.Client, job: JobHandle[Any]) -> None:
    """Return when the job runs."""
    with client.stream("GET", f"/jobs/{job.id}/progress") as stream:
        until(events(stream), lambda event: event.status == "running")


def test_stats(site: Site) -> None:
    with site.client(worker=True) as client:
        job = site.ended()
        job.result(timeout=20)
        site.work.apply_async(delay=60)
        answer = client.get("/stats")
    assert answer.status_code == 200
    assert answer.json() == {
        "pending": 1,
        "running": 0,
        "completed": 1,
        "failed": 0,
        "dead": 0,
        "cancelled": 0,
    }


def test_a_pending_job(site: Site) -> None:
    options: dict[str, Any] = {"priority": 5, "queue": "images", "timeout": 1.5, "max_retries": 7}
    job = site.work.apply_async(unique_key="k", metadata={"by": "me"}, **options)
    with site.client() as client:
        shown = client.get(f"/jobs/{job.id}").json()
    assert set(shown) == JOB_KEYS
    assert shown == {
        "id": job.id,
        "queue": "images",
        "task_name": "work",
        "status": "pending",
        "priority": 5,
        "progress": 0,
        "retry_count": 0,
        "max_retries": 7,
        "created_at": job.created_at,
        "scheduled_at": job.job.run_at,
        "started_at": None,
        "completed_at": None,
        "error": None,
        "timeout_ms": 1500,
        "unique_key": "k",
        "metadata": {"by": "me"},
    }


def test_a_finished_job(site: Site) -> None:
    with site.client(worker=True) as client:
        site.commands.put(30)
        job = site.ended()
        job.result(timeout=20)
        shown = client.get(f"/jobs/{job.id}").json()
    assert set(shown) == JOB_KEYS
    assert (shown["status"], shown["progress"], shown["error"]) == ("complete", 100, None)
    assert shown["created_at"] <= shown["started_at"] <= shown["completed_at"]


def test_errors_are_readable_tracebacks(site: Site) -> None:
    with site.client(worker=True) as client:
        job = site.ended(ValueError("no\nway"))
        assert client.get(f"/jobs/{job.id}/result?timeout=20").json()["status"] == "dead"
        answer = client.get(f"/jobs/{job.id}/errors")
    assert answer.status_code == 200
    [error] = answer.json()
    assert set(error) == {"id", "job_id", "attempt", "error", "failed_at"}
    assert (error["job_id"], error["attempt"]) == (job.id, 1)
    assert error["error"].startswith("Traceback (most recent call last):\n")
    assert error["error"].endswith("ValueError: no\nway")


def test_a_job_without_errors_has_an_empty_list(site: Site) -> None:
    job = site.work.delay()
    with site.client() as client:
        assert client.get(f"/jobs/{job.id}/errors").json() == []


# ------------------------------------------------------------------------------- results


def test_the_result_of_a_job_that_is_not_finished(site: Site) -> None:
    job = site.work.delay()
    with site.client() as client:
        for timeout in ("", "?timeout=0", "?timeout=0.05"):
            answer = client.get(f"/jobs/{job.id}/result{timeout}")
            expected = {"id": job.id, "status": "pending", "result": None, "error": None}
            assert (answer.status_code, answer.json()) == (200, expected)


def test_waiting_for_a_result(site: Site) -> None:
    with site.client(worker=True) as client:
        job = site.ended()
        shown = client.get(f"/jobs/{job.id}/result?timeout=300").json()
    assert shown == {"id": job.id, "status": "complete", "result": "done", "error": None}


@pytest.mark.parametrize(
    ("outcome", "status", "error"),
    [
        (ValueError("boom"), "dead", "ValueError: boom"),
        (Abort("enough"), "failed", "Abort: enough"),
    ],
)
def test_a_job_that_fails_while_somebody_waits_is_no_error_of_the_server(
    site: Site, outcome: Exception, status: str, error: str
) -> None:
    with site.client(worker=True) as client:
        job = site.ended(outcome)
        answer = client.get(f"/jobs/{job.id}/result?timeout=20")
    assert answer.status_code == 200
    assert answer.json() == {"id": job.id, "status": status, "result": None, "error": error}


def test_a_job_that_is_cancelled_while_somebody_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = site.work.delay()
    with site.client() as client, ThreadPoolExecutor(1) as pool:
        reads = count_reads(site, monkeypatch)
        waiting = pool.submit(client.get, f"/jobs/{job.id}/result?timeout=300")
        # It reads the job once to find it, and once more when it begins to wait.
        assert reads.acquire(timeout=20)
        assert reads.acquire(timeout=20)
        assert site.queue.cancel_job(job.id)
        answer = waiting.result(timeout=20)
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"


def count_reads(site: Site, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Return a semaphore that each read of jobs from the store releases."""
    reads, get = threading.Semaphore(0), site.queue.store.get

    async def counted(job_ids: Sequence[str]) -> list[Job | None]:
        found = await get(job_ids)
        reads.release()
        return found

    monkeypatch.setattr(site.queue.store, "get", counted)
    return reads


def test_a_result_of_any_type_is_plain_json(site: Site) -> None:
    @site.queue.task(name="typed")
    def typed() -> dict[int, Any]:
        return {1: {3}, 2: (b"\x00", 1.5), 3: None}

    with site.client(worker=True) as client:
        job = typed.delay()
        shown = client.get(f"/jobs/{job.id}/result?timeout=20").json()
    assert shown["result"] == {"1": [3], "2": ["AA==", 1.5], "3": None}


def test_a_result_that_cannot_be_read_any_more_says_why(site: Site) -> None:
    with site.client(worker=True):
        job = site.ended()
        job.result(timeout=20)
    changed = Queue(site.queue.url)

    @changed.task(name="work")
    def work() -> int:
        return 1

    app = FastAPI(lifespan=lifespan(changed))
    app.include_router(QueueRouter(changed), prefix="/tasks")
    with client_of(app) as client:
        answer = client.get(f"/jobs/{job.id}/result")
    assert (answer.status_code, answer.json()["status"]) == (200, "complete")
    assert answer.json()["result"] is None
    assert "was the task changed" in answer.json()["error"]


# -------------------------------------------------------------------------------- cancel


def test_cancel_acts_on_a_pending_job_once(site: Site) -> None:
    job = site.work.delay()
    with site.client() as client:
        assert client.post(f"/jobs/{job.id}/cancel").json() == {"cancelled": True}
        assert client.post(f"/jobs/{job.id}/cancel").json() == {"cancelled": False}
        assert client.post(f"/jobs/{job.id}/cancel?running=true").json() == {"cancelled": False}
    assert job.refresh().status == "cancelled"


def test_cancel_leaves_a_running_job_alone_unless_asked(site: Site) -> None:
    @site.queue.task(name="long", max_retries=0)
    async def long() -> None:
        await asyncio.Event().wait()

    with site.client(worker=True) as client:
        job = long.delay()
        running(client, job)
        assert client.post(f"/jobs/{job.id}/cancel").json() == {"cancelled": False}
        assert client.post(f"/jobs/{job.id}/cancel?running=true").json() == {"cancelled": True}
        assert client.get(f"/jobs/{job.id}/result?timeout=20").json()["status"] == "cancelled"


# -------------------------------------------------------------------------- dead letters


def test_dead_letters_are_listed_and_retried_once(site: Site) -> None:
    with site.client(worker=True) as client:
        first, second = (buried(site, client) for _ in range(2))
        newest, oldest = client.get("/dead-letters").json()
        assert set(newest) == {
            "id",
            "original_job_id",
            "queue",
            "task_name",
            "error",
            "retry_count",
            "failed_at",
            "metadata",
        }
        assert (newest["original_job_id"], oldest["original_job_id"]) == (second, first)
        assert (newest["queue"], newest["task_name"], newest["retry_count"]) == (
            "default",
            "work",
            0,
        )
        assert newest["error"] == "ValueError: boom"
        assert client.get("/dead-letters?limit=1&offset=1").json() == [oldest]

        site.commands.put(None)
        retried = client.post(f"/dead-letters/{newest['id']}/retry")
        assert (retried.status_code, list(retried.json())) == (200, ["new_job_id"])
        new_id = retried.json()["new_job_id"]
        assert client.get(f"/jobs/{new_id}/result?timeout=20").json()["result"] == "done"
        assert client.get("/dead-letters").json() == [oldest]
        again = client.post(f"/dead-letters/{newest['id']}/retry")
        assert (again.status_code, again.json()) == (404, {"detail": "Dead letter not found"})


def buried(site: Site, client: httpx.Client) -> str:
    job = site.ended(ValueError("boom"))
    assert client.get(f"/jobs/{job.id}/result?timeout=20").json()["status"] == "dead"
    return job.id


def test_page_sizes_are_options(site: Site) -> None:
    with site.client(worker=True, default_page_size=1, max_page_size=2) as client:
        for _ in range(3):
            buried(site, client)
        assert len(client.get("/dead-letters").json()) == 1
        assert len(client.get("/dead-letters?limit=2").json()) == 2
        assert client.get("/dead-letters?limit=3").status_code == 422
    with pytest.raises(ValueError, match="default_page_size=5"):
        QueueRouter(site.queue, default_page_size=5, max_page_size=4)


# -------------------------------------------------------------------------------- errors


UNKNOWN = [
    ("GET", "/jobs/nope", "Job not found"),
    ("GET", "/jobs/nope/errors", "Job not found"),
    ("GET", "/jobs/nope/result", "Job not found"),
    ("GET", "/jobs/nope/result?timeout=5", "Job not found"),
    ("GET", "/jobs/nope/progress", "Job not found"),
    ("POST", "/jobs/nope/cancel", "Job not found"),
    ("POST", "/jobs/nope/cancel?running=true", "Job not found"),
    ("POST", "/dead-letters/nope/retry", "Dead letter not found"),
    ("GET", "/jobs/%00/progress", "Job not found"),
    ("GET", "/jobs/..%2F..%2Fstats", "Not Found"),
]


def test_what_is_unknown_is_not_found(site: Site) -> None:
    with site.client() as client:
        for method, path, detail in UNKNOWN:
            answer = client.request(method, path)
            found = (path, answer.status_code, answer.json())
            assert found == (path, 404, {"detail": detail})


OUT_OF_RANGE = [
    "/jobs/{id}/result?timeout=-1",
    "/jobs/{id}/result?timeout=300.5",
    "/jobs/{id}/result?timeout=nan",
    "/jobs/{id}/result?timeout=inf",
    "/jobs/{id}/result?timeout=soon",
    "/dead-letters?limit=0",
    "/dead-letters?limit=101",
    "/dead-letters?offset=-1",
    "/dead-letters?limit=x",
    "/jobs?status=done",
    "/jobs?limit=0",
    "/jobs?limit=101",
]


def test_what_is_out_of_range_is_refused(site: Site) -> None:
    job = site.work.delay()
    with site.client(operator=True) as client:
        for path in OUT_OF_RANGE:
            answer = client.get(path.format(id=job.id))
            assert (path, answer.status_code) == (path, 422)
            assert "detail" in answer.json()


def test_a_store_that_is_away_is_503_in_plain_words(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("a secret path is locked")

    with site.client() as client:
        job = site.work.delay()
        monkeypatch.setattr(site.queue.store, "get", away)
        for path in ("", "/errors", "/result", "/progress"):
            answer = client.get(f"/jobs/{job.id}{path}")
            detail = {"detail": "The job store cannot answer now"}
            assert (answer.status_code, answer.json()) == (503, detail)
