# Seed 001's shorter pieces of code, word for word except for their import lines, each in a
# function that is given what the piece does not define. The seed's text has lost its
# indentation. Its author's style is part of it:
# fmt: off
# ruff: noqa: ANN001, ANN202, F401, I001, PLC0415, RET504, T201
# mypy: ignore-errors

from typing import Any

from offload import Queue


def unique_tasks(process: Any) -> Any:
    job1 = process.apply_async(args=("report",), unique_key="daily-report")
    job2 = process.apply_async(args=("report",), unique_key="daily-report")
    assert job1.id == job2.id # Same job, not duplicated
    return job1


def job_cancellation(queue: Any, send_email: Any) -> Any:
    job = send_email.delay("user@example.com", "Hello", "World")
    cancelled = queue.cancel_job(job.id) # True if was pending
    return job, cancelled


def manual_cleanup(queue: Any) -> Any:
    # Purge completed jobs older than 1 hour
    deleted = queue.purge_completed(older_than=3600)
    # Purge dead letters older than 24 hours
    deleted = queue.purge_dead(older_than=86400)
    return deleted


def automatic_cleanup() -> Any:
    queue = Queue(
        db_path="myapp.db",
        result_ttl=3600, # Auto-purge completed/dead jobs older than 1 hour
    )
    return queue


def cascade_cleanup(queue: Any, resize_image: Any) -> Any:
    # Manual purge — child records are cleaned up automatically
    deleted = queue.purge_completed(older_than=3600)
    print(f"Purged {deleted} jobs and their related records")
    # With per-job TTL — cascade cleanup still applies
    job = resize_image.apply_async(
        args=("photo.jpg",),
        result_ttl=600, # This job's results expire after 10 minutes
    )
    # When this job is purged (after 10 min), its errors, logs,
    # metrics, dependencies, and replay history are also removed.
    return job


def sync_support(queue: Any, job: Any, job_id: Any, dead_id: Any) -> Any:
    # Sync
    stats = queue.stats()
    dead = queue.dead_letters()
    new_id = queue.retry_dead(dead_id)
    cancelled = queue.cancel_job(job_id)
    result = job.result(timeout=30)
    return stats, dead, new_id, cancelled, result


async def async_support(queue: Any, job: Any, job_id: Any, dead_id: Any) -> Any:
    # Async equivalents
    stats = await queue.astats()
    dead = await queue.adead_letters()
    new_id = await queue.aretry_dead(dead_id)
    cancelled = await queue.acancel_job(job_id)
    result = await job.aresult(timeout=30)
    return stats, dead, new_id, cancelled, result


def task_map(queue: Any, fetch_and_process: Any) -> Any:
    @queue.task()
    def process(item_id):
        return fetch_and_process(item_id)
    # Enqueue 1000 jobs in one transaction
    jobs = process.map([(i,) for i in range(1000)])
    return jobs


def queue_enqueue_many(queue: Any) -> Any:
    jobs = queue.enqueue_many(
        task_name="myapp.process",
        args_list=[(i,) for i in range(1000)],
        kwargs_list=None, # Optional per-job kwargs
        priority=5, # Same priority for all
        queue="processing", # Same queue for all
    )
    return jobs


def response_models() -> Any:
    from offload.fastapi import (
        StatsResponse,
        JobResponse,
        JobErrorResponse,
        JobResultResponse,
        CancelResponse,
        DeadLetterResponse,
        RetryResponse,
    )
    return {name: kind for name, kind in locals().items() if name.endswith("Response")}
