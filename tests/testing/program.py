"""A program under test: its queue stands in a module, and its tasks note what they do."""

import asyncio
from dataclasses import dataclass
from typing import Any

from offload import Queue, current_job

DONE: list[Any] = []
"""What the functions did, in their order."""


@dataclass
class Point:
    """A value that only travels if it is encoded and decoded by its type."""

    x: int


queue = Queue(db_path="never-opened/jobs.db", workers=2, result_ttl=3600)


@queue.task
def note(word: str, times: int = 1) -> str:
    DONE.append(word)
    return word * times


@queue.task
async def anote(word: str) -> str:
    await asyncio.sleep(0)
    DONE.append(asyncio.get_running_loop())
    return word


@queue.task
def flip(point: Point) -> Point:
    return Point(-point.x)


@queue.task(max_retries=2, retry_backoff=100, max_retry_delay=1000)
def fail() -> None:
    DONE.append(current_job.retry_count)
    raise ValueError("never works")


@queue.task(max_retries=0)
def fail_once() -> None:
    raise ValueError("does not work")


@queue.task
def add(numbers: list[int]) -> int:
    return sum(numbers)


@queue.task
def double(number: int) -> int:
    DONE.append(number)
    return 2 * number


@queue.task
def tell() -> None:
    current_job.log("a line")
    current_job.publish({"part": 1})
    current_job.update_progress(50, "half")


@queue.task
def spawn(count: int) -> str | None:
    if count == 0:
        return None
    child = spawn.delay(count - 1)
    child.refresh()
    return child.status


@queue.task
async def aspawn() -> str:
    child = await anote.adelay("child")
    return await child.aresult()


@queue.task
async def block() -> str:
    return note.delay("from a coroutine").status


@queue.task(rate_limit="1/m")
def slow(word: str) -> None:
    DONE.append(word)
